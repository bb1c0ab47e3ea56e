"""Input as declared: what JSON may be, what a serializer takes, what a query may ask."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client, override_settings

from aftersales.accounts.models import Shop
from aftersales.common.api import parsers
from aftersales.common.api.pagination import MAX_LIMIT

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _routes() -> Iterator[None]:
    with override_settings(ROOT_URLCONF="tests.common.urls"):
        yield


def post(body: Any, content_type: str = "application/json") -> Any:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return Client(headers={"Accept-Language": "en"}).post("/api/v1/echo/", data, content_type)


def faults(body: Any) -> set[tuple[str, str]]:
    response = post(body)
    assert response.status_code == 422, response.content
    return {(error["pointer"], error["code"]) for error in response.json()["errors"]}


def test_it_takes_what_is_declared() -> None:
    body = {"name": "x", "count": 1, "flag": True, "inner": {"phone": "1"}, "kind": None}
    assert post(body).json() == body


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[1",
        "nope",
        '{"name": NaN}',
        '{"name": Infinity}',
        '{"name": -Infinity}',
        '{"name": "a", "name": "b"}',
        '{"inner": {"phone": "1", "phone": "2"}, "name": "a"}',
        b'{"name": "\xff"}',
        b"\xef\xbb\xbf{}",
        '{"count": ' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"a":' * 50_000,
    ],
)
def test_it_answers_400_for_what_cannot_be_read(body: Any) -> None:
    response = post(body)
    assert (response.status_code, response.json()["code"]) == (400, "malformed")


def test_it_takes_an_empty_body_for_an_empty_object() -> None:
    assert faults("") == {("/name", "required")}


def test_it_answers_413_for_what_is_too_large() -> None:
    assert post('{"name": "' + "x" * (2**20) + '"}').status_code == 413
    assert post('{"name": "' + "x" * 900_000 + '"}').status_code == 422


@pytest.mark.parametrize("text", ["a\x00b", "\ud83d", "\udc00x", "ok \ud800"])
def test_it_refuses_text_that_cannot_be_stored(text: str) -> None:
    assert faults({"name": text}) == {("/name", "unstorable_text")}
    assert faults({"items": [{"phone": "1"}, {"phone": text}], "name": "x"}) == {
        ("/items/1/phone", "unstorable_text")
    }
    assert faults({"name": "x", text: 1}) == {("", "unstorable_text")}


def test_it_takes_every_other_character() -> None:
    text = "王\U0001f600\u0001\u200b\u202e"
    assert post({"name": text}).json()["name"] == text


def test_it_refuses_what_is_nested_too_deeply() -> None:
    body: Any = "x"
    for _ in range(parsers.MAX_DEPTH + 1):
        body = [body]
    assert {code for _pointer, code in faults(body)} == {"too_deep"}


@pytest.mark.parametrize("body", [[], "x", 1, None, True, [{"name": "x"}]])
def test_it_refuses_another_root_than_an_object(body: Any) -> None:
    assert faults(json.dumps(body)) == {("", "null" if body is None else "invalid")}


def test_it_refuses_unknown_and_read_only_names_at_every_depth() -> None:
    assert faults({"name": "x", "status": "closed", "fixed": "y"}) == {
        ("/status", "unknown_field"),
        ("/fixed", "unknown_field"),
    }
    assert faults({"name": "x", "inner": {"phone": "1", "id": 1}}) == {
        ("/inner/id", "unknown_field")
    }
    assert faults({"name": "x", "items": [{"phone": "1"}, {"phone": "1", "a/b~c": 1}]}) == {
        ("/items/1/a~1b~0c", "unknown_field")
    }


def test_it_names_every_fault_in_one_answer() -> None:
    assert faults({"nmae": "x", "count": -1, "inner": {"phone": "123456"}}) == {
        ("/nmae", "unknown_field"),
        ("/name", "required"),
        ("/count", "min_value"),
        ("/inner/phone", "max_length"),
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", 1),
        ("name", True),
        ("name", ["x"]),
        ("name", {"a": 1}),
        ("count", "1"),
        ("count", 1.5),
        ("count", True),
        ("flag", "true"),
        ("flag", 1),
        ("kind", 1),
        ("at", 1700000000),
    ],
)
def test_it_bends_no_json_type_into_another(name: str, value: Any) -> None:
    assert faults({"name": "x", name: value}) == {(f"/{name}", "wrong_type")}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-01-31T09:00:00", "no_offset"),
        ("9999-12-31T23:59:59+00:00", "impossible"),
        ("0001-01-01T00:00:00+14:00", "impossible"),
        ("1969-12-31T23:59:59Z", "impossible"),
        ("yesterday", "invalid"),
        ("2026-02-30T00:00:00Z", "invalid"),
    ],
)
def test_it_refuses_a_moment_that_nobody_can_place(text: str, code: str) -> None:
    assert faults({"name": "x", "at": text}) == {("/at", code)}


def test_it_places_a_moment_by_its_offset() -> None:
    body = {"name": "x", "at": "2026-01-31T09:00:00+08:00"}
    assert post(body).json()["at"].startswith("2026-01-31T01:00:00")


class TestQuery:
    def ask(self, query: str) -> Any:
        return Client(headers={"Accept-Language": "en"}).get(f"/api/v1/shops/?{query}")

    def faults(self, query: str) -> set[tuple[str, str]]:
        response = self.ask(query)
        assert response.status_code == 422, response.content
        return {(error["pointer"], error["code"]) for error in response.json()["errors"]}

    def test_it_takes_what_is_declared_and_the_paginators_own(self) -> None:
        assert self.ask("code=a&is_active=true&limit=5&cursor=").status_code == 200

    def test_it_refuses_unknown_names(self) -> None:
        assert self.faults("code=a&shop__name=x") == {("?shop__name", "unknown_field")}

    def test_it_refuses_a_name_said_twice(self) -> None:
        assert self.faults("code=a&code=b") == {("?code", "repeated")}

    def test_it_takes_a_list_said_several_times(self) -> None:
        for code in ("a", "b", "c"):
            Shop.objects.create(code=code, name=code)
        body = self.ask("code__in=a&code__in=c").json()
        assert {row["code"] for row in body["results"]} == {"a", "c"}

    def test_it_takes_nothing_for_what_is_not_said(self) -> None:
        Shop.objects.create(code="a", name="a")
        assert len(self.ask("").json()["results"]) == 1
        assert len(self.ask("is_active=false").json()["results"]) == 0

    def test_it_refuses_values_of_another_kind(self) -> None:
        assert self.faults("is_active=perhaps") == {("?is_active", "invalid")}

    @pytest.mark.parametrize(
        "limit", ["0", "-1", "1.5", "x", "", "\uff11", "1e3", "9" * 5000, "%2B5"]
    )
    def test_it_refuses_a_limit_that_is_no_number(self, limit: str) -> None:
        assert self.faults(f"limit={limit}") == {("?limit", "invalid")}

    def test_it_cuts_a_limit_that_is_too_high(self) -> None:
        assert self.ask(f"limit={MAX_LIMIT + 1}").status_code == 200
