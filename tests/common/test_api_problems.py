"""Every error is one problem body, with nothing in it that helps an attacker."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import Client, override_settings

from aftersales.accounts.models import Shop
from tests.common.urls import RAISES

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _routes() -> Iterator[None]:
    with override_settings(ROOT_URLCONF="tests.common.urls"):
        yield


def get(what: str, language: str = "en") -> Any:
    client = Client(raise_request_exception=False, headers={"Accept-Language": language})
    return client.get(f"/api/v1/raises/{what}/")


ANSWERS = [
    ("not_allowed", 403, "not_allowed"),
    ("not_visible", 404, "not_found"),
    ("wrong_state", 409, "wrong_state"),
    ("conflict", 409, "conflict"),
    ("gone", 410, "gone"),
    ("stale", 412, "stale_version"),
    ("too_large", 413, "too_large"),
    ("wrong_type", 415, "wrong_type"),
    ("invalid", 422, "invalid"),
    ("too_many", 429, "too_many"),
    ("http404", 404, "not_found"),
    ("drf404", 404, "not_found"),
    ("forbidden", 403, "not_allowed"),
    ("drf_forbidden", 403, "not_allowed"),
    ("suspicious", 400, "malformed"),
    ("throttled", 429, "too_many"),
    ("model", 422, "invalid"),
    ("model_whole", 422, "invalid"),
    ("surprise", 500, "internal"),
    ("database", 503, "unavailable"),
    ("connection", 503, "unavailable"),
]


def test_it_has_an_answer_for_each_error_that_is_raised_here() -> None:
    assert {what for what, _status, _code in ANSWERS} == set(RAISES)


@pytest.mark.parametrize(("what", "status", "code"), ANSWERS)
def test_it_answers_with_the_status_and_its_code(what: str, status: int, code: str) -> None:
    response = get(what)
    body = response.json()
    assert response.status_code == body["status"] == status
    assert response["Content-Type"] == "application/problem+json"
    assert body["code"] == code
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["instance"] == f"/api/v1/raises/{what}/"
    assert body["request_id"] == response["X-Request-ID"] != ""
    assert not re.search(r"secret|SELECT|Traceback|\.py", response.content.decode())


def test_it_tells_what_the_error_carries() -> None:
    assert get("wrong_state").json()["allowed_events"] == ["a", "b"]
    assert get("stale").json()["version"] == 7


def test_it_points_at_what_is_wrong() -> None:
    assert get("invalid").json()["errors"] == [
        {"pointer": "/a/0/b~1c", "code": "x", "detail": "Wrong."}
    ]
    assert [error["pointer"] for error in get("model").json()["errors"]] == ["/name", ""]
    assert get("model_whole").json()["errors"] == [
        {"pointer": "", "code": "both", "detail": "Both."}
    ]


@pytest.mark.parametrize(
    ("what", "seconds"), [("too_many", "9"), ("throttled", "4"), ("database", "5")]
)
def test_it_says_when_to_come_back(what: str, seconds: str) -> None:
    response = get(what)
    assert response["Retry-After"] == seconds
    assert response.json()["retry_after"] == int(seconds)


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "This is too large."), ("zh-CN", "内容过大。"), ("fr", "内容过大。")],
)
def test_it_speaks_the_language_asked_for(language: str, text: str) -> None:
    assert get("too_large", language).json()["detail"] == text


def test_it_answers_the_same_for_missing_and_foreign() -> None:
    bodies = [get(what).json() for what in ("http404", "drf404", "not_visible")]
    for body in bodies:
        del body["instance"], body["request_id"]
    assert bodies[0] == bodies[1] == bodies[2]


@pytest.mark.parametrize("path", ["/api/v1/nowhere/", "/api/", "/api/v9/tickets/"])
def test_it_answers_an_unknown_path_with_a_problem(path: str) -> None:
    response = Client().get(path)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_it_answers_an_unknown_method() -> None:
    response = Client().delete("/api/v1/echo/")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in response["Allow"]


def test_it_answers_an_unknown_type() -> None:
    response = Client().post("/api/v1/echo/", "name=x", content_type="text/plain")
    assert (response.status_code, response.json()["code"]) == (415, "wrong_type")


def test_it_answers_who_wants_no_json() -> None:
    response = Client().post("/api/v1/echo/", headers={"Accept": "text/html"})
    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize(
    "path", ["/api/v1/raises/%00/", "/api/v1/shops/?code=%00", "/api/v1/?%00=1"]
)
def test_it_refuses_a_nul_byte_in_the_address(path: str) -> None:
    response = Client().get(path)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "unstorable_text")


def test_it_refuses_a_foreign_host() -> None:
    response = Client().get("/api/v1/raises/gone/", headers={"Host": "evil.example"})
    assert (response.status_code, response.json()["code"]) == (400, "malformed")


@pytest.mark.django_db(transaction=True)
def test_it_asks_to_repeat_when_a_lock_is_held() -> None:
    Shop.objects.create(code="one", name="One")
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                list(Shop.objects.select_for_update())
                locked.set()
                done.wait(timeout=20)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=1) as pool:
        holder = pool.submit(hold)
        assert locked.wait(timeout=10)
        response = get("lock")
        done.set()
        holder.result(timeout=20)
    assert (response.status_code, response.json()["code"]) == (503, "busy")
    assert response["Retry-After"] == "1"
