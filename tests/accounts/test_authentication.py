"""Keys of the API: in the header only, live only, stored as a hash, known by one query."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import DatabaseError, connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from aftersales.accounts import workflow
from aftersales.accounts.actors import SYSTEM
from aftersales.accounts.authentication import KeyAuthentication
from aftersales.accounts.models import ApiClient, ApiKey, Role, Scope, Shop, User
from aftersales.accounts.permissions import KeyMayCall
from tests.factories import make_key, make_shop_client, make_staff_client, make_user

pytestmark = pytest.mark.django_db

ME = "/api/v1/me/"


def ask(key: str | None, path: str = ME, scheme: str = "Bearer", **extra: Any) -> Any:
    headers = {"Authorization": f"{scheme} {key}"} if key is not None else {}
    return Client().get(path, headers=headers | extra.pop("headers", {}), **extra)


@pytest.fixture
def client_row() -> ApiClient:
    return make_shop_client()


@pytest.fixture
def key(client_row: ApiClient) -> str:
    return make_key(client_row)


def test_it_knows_a_shop_by_its_key(client_row: ApiClient, key: str) -> None:
    body = ask(key).json()
    assert body["id"] == str(client_row.public_id)
    assert body["shop"]["code"] == client_row.shop.code  # type: ignore[union-attr]
    assert body["user"] is None


def test_it_knows_a_member_of_staff_by_their_key() -> None:
    user = make_user(Role.ENGINEER)
    body = ask(make_key(make_staff_client(user))).json()
    assert (body["user"]["staff_number"], body["shop"]) == (user.staff_number, None)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_it_ignores_the_case_of_the_scheme(key: str, scheme: str) -> None:
    assert ask(key, scheme=scheme).status_code == 200


@pytest.mark.parametrize("scheme", ["Api-Key", "Basic", "Token"])
def test_it_knows_no_other_scheme(key: str, scheme: str) -> None:
    assert ask(key, scheme=scheme).status_code == 401


@pytest.mark.parametrize(
    "wrong", ["", "x", "a.b", "A" * 41, "\u5bc6\u94a5", "A" * 8 + "." + "B" * 32, "A" * 100_000]
)
def test_it_refuses_what_is_no_key(key: str, wrong: str) -> None:
    response = Client().get(ME, HTTP_AUTHORIZATION=f"Bearer {wrong}")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == 'Bearer realm="api"'
    assert response.json()["code"] == "not_authenticated"


def test_it_refuses_the_right_prefix_with_another_secret(key: str) -> None:
    flipped = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert ask(flipped).status_code == 401


def test_it_refuses_a_call_without_a_key() -> None:
    assert ask(None).status_code == 401


def test_it_takes_no_session_cookie() -> None:
    browser = Client()
    browser.force_login(make_user(Role.ADMINISTRATOR))
    assert browser.get("/").status_code == 200
    assert browser.get(ME).status_code == 401


@pytest.mark.parametrize("name", ["api_key", "access_token", "key", "q"])
def test_it_refuses_a_key_in_the_address_even_beside_a_good_header(key: str, name: str) -> None:
    for headers in ({}, {"Authorization": f"Bearer {key}"}):
        response = Client().get(f"{ME}?{name}={key}", headers=headers)
        assert response.status_code == 401
        assert response.json()["code"] == "key_in_url"


def test_it_knows_a_client_by_each_of_its_live_keys(client_row: ApiClient, key: str) -> None:
    second = make_key(client_row)
    assert ask(key).status_code == ask(second).status_code == 200
    workflow.revoke_key(ApiKey.objects.get(prefix=key.partition(".")[0]).pk, by=SYSTEM)
    assert (ask(key).status_code, ask(second).status_code) == (401, 200)


@pytest.mark.parametrize(("minutes", "code"), [(-1, 401), (1, 200)])
def test_it_ends_a_key_at_its_date(client_row: ApiClient, minutes: int, code: int) -> None:
    expires = datetime.now(UTC) + timedelta(minutes=minutes)
    assert ask(make_key(client_row, expiry_date=expires)).status_code == code


def test_it_keeps_a_disabled_client_out(client_row: ApiClient, key: str) -> None:
    workflow.set_client_active(client_row.pk, False, by=SYSTEM)
    assert ask(key).status_code == 401


def test_it_keeps_a_disabled_shop_out(client_row: ApiClient, key: str) -> None:
    Shop.objects.filter(clients=client_row).update(is_active=False)
    assert ask(key).status_code == 401


def test_it_keeps_a_disabled_user_out() -> None:
    user = make_user()
    key = make_key(make_staff_client(user))
    assert ask(key).status_code == 200
    workflow.set_active(user.pk, False, by=SYSTEM)
    assert ask(key).status_code == 401


def test_it_stores_no_key(key: str) -> None:
    secret = key.partition(".")[2]
    row = ApiKey.objects.get()
    assert all(secret not in str(value) for value in vars(row).values())


def test_it_asks_the_database_once(key: str) -> None:
    ask(key)  # stamps the use
    with CaptureQueriesContext(connection) as queries:
        ask(key)
    assert len(queries) == 1, queries.captured_queries


def test_it_stamps_the_use_at_most_once_an_hour(key: str) -> None:
    ask(key)
    first = ApiKey.objects.get().last_used_at
    assert first is not None
    ask(key)
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=61))
    ask(key)
    stamped = ApiKey.objects.get().last_used_at
    assert stamped is not None
    assert stamped >= first


def test_it_answers_though_the_stamp_fails(key: str) -> None:
    with patch("django.db.models.query.QuerySet.update", side_effect=DatabaseError):
        assert ask(key).status_code == 200


def test_it_counts_wrong_keys_by_address() -> None:
    with override_settings(API_ANONYMOUS_PER_MINUTE=5):
        codes = [
            ask("A" * 8 + "." + "B" * 32, REMOTE_ADDR="192.0.2.77").status_code for _ in range(7)
        ]
        assert codes == [401] * 5 + [429] * 2
        assert ask(make_key(make_shop_client()), REMOTE_ADDR="192.0.2.77").status_code == 200


class TestScopes:
    def test_it_refuses_shops_where_no_scope_is_named(self, key: str) -> None:
        response = ask(key, "/api/v1/staff/")
        assert (response.status_code, response.json()["code"]) == (403, "scope_missing")

    def test_it_gives_shops_what_their_scope_names_and_no_more(self) -> None:
        class View:
            shop_scopes = {"list": Scope.TICKETS_READ, "create": Scope.TICKETS_WRITE}
            action: str | None = "list"
            allowed_methods = ("GET",)

        reader = make_shop_client(scopes=[Scope.TICKETS_READ])
        request: Any = type("Request", (), {"auth": reader, "method": "GET"})()
        view = View()
        allowed = {}
        for action in ("list", "create", "destroy"):
            view.action = action
            allowed[action] = KeyMayCall().has_permission(request, view)
        assert allowed == {"list": True, "create": False, "destroy": False}


class TestStaffList:
    def test_it_tells_colleagues_and_hides_the_disabled(self) -> None:
        agent = make_user(Role.AGENT)
        gone = make_user(Role.AGENT, is_active=False)
        rows = ask(make_key(make_staff_client(agent)), "/api/v1/staff/").json()["results"]
        numbers = [row["staff_number"] for row in rows]
        assert agent.staff_number in numbers
        assert gone.staff_number not in numbers
        assert "email" not in rows[0]
        assert "username" not in rows[0]

    def test_it_asks_as_often_for_one_as_for_a_hundred(self) -> None:
        key = make_key(make_staff_client())
        ask(key)
        with CaptureQueriesContext(connection) as few:
            ask(key, "/api/v1/staff/?limit=250")
        for _ in range(99):
            make_user()
        with CaptureQueriesContext(connection) as many:
            assert len(ask(key, "/api/v1/staff/?limit=250").json()["results"]) == 100
        assert len(few) == len(many) == 2


def test_it_puts_the_actor_where_every_app_reads_it() -> None:
    user: User = make_user(Role.PROVIDER)
    headers = {"Authorization": f"Bearer {make_key(make_staff_client(user))}"}
    request: Any = Request(APIRequestFactory().get(ME, headers=headers))
    KeyAuthentication().authenticate(request)
    assert request.actor.kind == "provider"
    assert request.actor.user == user
