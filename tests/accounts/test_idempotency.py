"""One effect for one key: replayed, refused for another body, gone after a failure."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections
from django.test import Client, override_settings

from aftersales.accounts import idempotency, tasks
from aftersales.accounts.models import IdempotentRequest, Team
from aftersales.common import dbtime
from tests.accounts import urls
from tests.factories import make_key, make_shop_client, make_staff_client

TEAMS, FILES = "/api/v1/test-teams/", "/api/v1/test-files/"


@pytest.fixture(autouse=True)
def _routes() -> Iterator[None]:
    with override_settings(ROOT_URLCONF="tests.accounts.urls"):
        yield
    urls.go_on.set()


def post(
    key: str, body: Any = None, *, idempotency_key: str | None = "k-1", path: str = TEAMS
) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    client = Client(raise_request_exception=False)
    return client.post(
        path, body or {"code": "a"}, content_type="application/json", headers=headers
    )


@pytest.mark.django_db
class TestOneAfterAnother:
    @pytest.fixture
    def key(self) -> str:
        return make_key(make_shop_client())

    def test_it_replays_the_first_answer_byte_by_byte(self, key: str) -> None:
        first, second = post(key), post(key)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.content == second.content
        assert second["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first
        for name in ("Location", "ETag", "Content-Type"):
            assert first[name] == second[name]
        assert first["Content-Type"] == "application/json"
        assert Team.objects.count() == 1

    def test_it_takes_equal_json_for_the_same_body(self, key: str) -> None:
        post(key, '{"code": "a", "then": null}'.replace(', "then": null', ""))
        assert post(key, '{ "code":"\\u0061" }')["Idempotent-Replayed"] == "true"

    @pytest.mark.parametrize("idempotency_key", [None, "", "x" * 256, "a b", "schlüssel", "a\tb"])
    def test_it_refuses_a_call_without_a_proper_key(
        self, key: str, idempotency_key: str | None
    ) -> None:
        response = post(key, idempotency_key=idempotency_key)
        assert response.status_code == 400
        assert response.json()["code"].startswith("idempotency_key_")
        assert not Team.objects.exists()

    def test_it_takes_a_key_of_255_characters(self, key: str) -> None:
        assert post(key, idempotency_key="x" * 255).status_code == 201

    def test_it_refuses_the_key_for_another_body(self, key: str) -> None:
        post(key)
        response = post(key, {"code": "b"})
        assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
        assert Team.objects.count() == 1

    @pytest.mark.parametrize("path", [f"{TEAMS}?x=1", FILES])
    def test_it_refuses_the_key_for_another_address(self, key: str, path: str) -> None:
        post(key)
        assert post(key, path=path).status_code == 422

    def test_it_keeps_the_keys_of_clients_apart(self, key: str) -> None:
        post(key)
        response = post(make_key(make_staff_client()), {"code": "b"})
        assert response.status_code == 201
        assert "Idempotent-Replayed" not in response

    def test_it_shares_a_clients_keys_between_its_secrets(self) -> None:
        client = make_shop_client()
        post(make_key(client))
        assert post(make_key(client))["Idempotent-Replayed"] == "true"

    @pytest.mark.parametrize(("fail", "code"), [("invalid", 422), ("crash", 500), ("refused", 409)])
    def test_it_stores_no_failure_and_undoes_it(self, key: str, fail: str, code: int) -> None:
        assert post(key, {"code": "a", "then": fail}).status_code == code
        assert not Team.objects.exists()
        assert not IdempotentRequest.objects.exists()
        assert post(key).status_code == 201

    def test_it_stores_the_answer_encrypted(self, key: str) -> None:
        post(key)
        row = IdempotentRequest.objects.get()
        assert b"secret-link" not in bytes(row.body or b"")
        assert "secret-link" not in str(row.headers)

    def test_it_refuses_an_answer_that_was_moved_to_another_key(self, key: str) -> None:
        post(key)
        post(key, {"code": "b"}, idempotency_key="k-2")
        IdempotentRequest.objects.filter(key="k-2").update(
            body=IdempotentRequest.objects.get(key="k-1").body
        )
        assert post(key, {"code": "b"}, idempotency_key="k-2").status_code == 500

    def test_it_tells_files_apart_by_content(self, key: str) -> None:
        def send(content: bytes) -> Any:
            return Client().post(
                FILES,
                {"file": SimpleUploadedFile("a.txt", content)},
                headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "f-1"},
            )

        assert send(b"one").json() == {"size": 3}
        assert send(b"one")["Idempotent-Replayed"] == "true"
        assert send(b"two").status_code == 422

    @pytest.mark.parametrize(
        ("later", "replayed"),
        [(timedelta(days=7) - timedelta(seconds=1), True), (timedelta(days=7), False)],
    )
    def test_it_keeps_the_answer_for_seven_days(
        self, key: str, later: timedelta, replayed: bool
    ) -> None:
        start = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
        with dbtime.at(start):
            post(key)
        Team.objects.all().delete()
        with dbtime.at(start + later):
            response = post(key)
        assert response.status_code == 201
        assert ("Idempotent-Replayed" in response) is replayed

    def test_it_is_swept_out_after_that(self, key: str) -> None:
        start = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
        with dbtime.at(start):
            post(key)
        with dbtime.at(start + timedelta(days=7)):
            tasks.clean_accounts()
            assert IdempotentRequest.objects.count() == 1
        with dbtime.at(start + timedelta(days=7, seconds=1)):
            tasks.clean_accounts()
            assert IdempotentRequest.objects.count() == 0


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def test_it_has_one_effect_and_29_replays_of_30(self) -> None:
        key = make_key(make_shop_client())
        start = threading.Barrier(30)

        def call(_number: int) -> tuple[int, bool, bytes]:
            start.wait(timeout=20)
            try:
                response = post(key)
                return response.status_code, "Idempotent-Replayed" in response, response.content
            finally:
                connections.close_all()

        with ThreadPoolExecutor(max_workers=30) as pool:
            answers = list(pool.map(call, range(30)))
        assert [code for code, _replayed, _content in answers] == [201] * 30
        assert sum(replayed for _code, replayed, _content in answers) == 29
        assert len({content for _code, _replayed, content in answers}) == 1
        assert Team.objects.count() == 1

    def test_it_lets_a_waiting_call_do_the_work_when_the_first_fails(self) -> None:
        key = make_key(make_shop_client())
        urls.go_on.clear()
        urls.inside.clear()
        with ThreadPoolExecutor(max_workers=2) as pool:
            first = pool.submit(in_thread, key, {"code": "a", "then": "crash"})
            assert urls.inside.wait(timeout=10)
            second = pool.submit(in_thread, key, {"code": "a"})
            urls.go_on.set()
            assert first.result(timeout=20).status_code == 500
            assert second.result(timeout=20).status_code == 201
        assert Team.objects.count() == 1

    def test_it_answers_409_when_the_first_does_not_end(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(idempotency, "PATIENCE", "200ms")
        key = make_key(make_shop_client())
        urls.go_on.clear()
        urls.inside.clear()
        with ThreadPoolExecutor(max_workers=1) as pool:
            first = pool.submit(in_thread, key, {"code": "a"})
            assert urls.inside.wait(timeout=10)
            second = post(key)
            urls.go_on.set()
            assert first.result(timeout=20).status_code == 201
        assert (second.status_code, second["Retry-After"]) == (409, "1")
        assert second.json()["code"] == "idempotency_key_in_use"
        assert post(key)["Idempotent-Replayed"] == "true"

    def test_it_leaves_nothing_of_a_connection_that_is_cut(self) -> None:
        key = make_key(make_shop_client())
        urls.go_on.clear()
        urls.inside.clear()
        with ThreadPoolExecutor(max_workers=1) as pool:
            first = pool.submit(in_thread, key, {"code": "a"})
            assert urls.inside.wait(timeout=10)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND state = 'idle in transaction'"
                )
            urls.go_on.set()
            answer = first.result(timeout=20)
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert not Team.objects.exists()
        assert post(key).status_code == 201


def in_thread(key: str, body: Any) -> Any:
    try:
        return post(key, body)
    finally:
        connections.close_all()
