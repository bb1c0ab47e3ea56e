"""The routes: who gets what; the table of all personas is in ``tests/routes.py``."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from aftersales.accounts.models import Role, User
from aftersales.common import dbtime
from aftersales.customers import grants
from aftersales.customers.models import AccessLog, Contact, Grant
from tests.factories import make_contact, make_key, make_staff_client, make_user
from tests.openapi import RestClient

pytestmark = pytest.mark.django_db

CASE = "GZ20261122001"
ASKED = {"fields": ["phone", "name"], "case_ref": CASE, "purpose": "回电"}
OPENED = {"fields": ["phone"], "case_ref": CASE, "reason": "客户电话里求救,需要号码"}


def rest(user: User) -> RestClient:
    return RestClient(make_staff_client(user))


def url(contact: Contact, action: str = "reveal") -> str:
    return f"/api/v1/contacts/{contact.public_id}/{action}/"


def owner_of(contact: Contact) -> User:
    user = make_user()
    grants.give(
        contact_id=contact.pk,
        holder=user,
        case_ref=CASE,
        fields=["name", "phone"],
        reason="owner",
        now=dbtime.database_now(),
    )
    return user


def test_the_holder_gets_the_values_and_nobody_stores_them() -> None:
    contact = make_contact()
    answer = rest(owner_of(contact)).post(url(contact), ASKED)
    assert answer.status_code == 200
    assert answer.json() == {"name": "王小明", "phone": "13812345678"}  # type: ignore[attr-defined]
    assert answer["Cache-Control"] == "no-store"
    row = AccessLog.objects.get()
    assert row.outcome == "shown"
    assert row.request_id == answer["X-Request-ID"]


def test_a_colleague_is_refused_and_recorded() -> None:
    contact = make_contact()
    answer = rest(make_user()).post(url(contact), ASKED)
    assert answer.status_code == 403
    assert AccessLog.objects.get().outcome == "no_grant"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"fields": []}, "/fields"),
        ({"fields": ["customer"]}, "/fields/0"),
        ({"fields": ["phone", "phone", "phone", "phone", "phone"]}, "/fields"),
        ({"fields": "phone"}, "/fields"),
        ({"purpose": ""}, "/purpose"),
        ({"purpose": None}, "/purpose"),
        ({"case_ref": "x" * 65}, "/case_ref"),
        ({"until": "2030-01-01"}, "/until"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], pointer: str) -> None:
    contact = make_contact()
    answer = rest(owner_of(contact)).post(url(contact), ASKED | change)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]  # type: ignore[attr-defined]
    assert not AccessLog.objects.exists()


def test_a_contact_that_never_was_is_not_found() -> None:
    for user, action in ((make_user(), "reveal"), (make_user(Role.MANAGER), "break-glass")):
        body = ASKED if action == "reveal" else OPENED
        assert rest(user).post(f"/api/v1/contacts/{uuid4()}/{action}/", body).status_code == 404


def test_too_many_looks_say_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    contact = make_contact()
    client = rest(owner_of(contact))
    monkeypatch.setattr(grants, "LOOKS_AN_HOUR", 1)
    assert client.post(url(contact), ASKED).status_code == 200
    answer = client.post(url(contact), ASKED)
    assert answer.status_code == 429
    assert 3590 < int(answer["Retry-After"]) <= 3600


def test_a_corrupt_value_is_a_fault_and_never_garbage() -> None:
    contact, other = make_contact(), make_contact(phone="13900000000")
    key = make_key(make_staff_client(owner_of(contact)))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE customers_contact AS own SET phone = other.phone"
            " FROM customers_contact AS other WHERE own.id = %s AND other.id = %s",
            [contact.pk, other.pk],
        )
    answer = Client(raise_request_exception=False).post(
        url(contact), ASKED, "application/json", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert b"139" not in answer.content


def test_a_manager_breaks_the_glass_and_looks() -> None:
    contact, manager = make_contact(), make_user(Role.MANAGER)
    client = rest(manager)
    answer = client.post(url(contact, "break-glass"), OPENED)
    assert answer.status_code == 201
    grant = Grant.objects.get()
    assert answer.json()["until"] is not None  # type: ignore[attr-defined]
    assert (grant.holder, grant.reason) == (manager, "break_glass")
    seen = client.post(url(contact), ASKED | {"fields": ["phone"]})
    assert seen.json() == {"phone": "13812345678"}  # type: ignore[attr-defined]


def test_a_thin_reason_is_refused() -> None:
    contact = make_contact()
    answer = rest(make_user(Role.MANAGER)).post(
        url(contact, "break-glass"), OPENED | {"reason": "因为"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/reason"  # type: ignore[attr-defined]


@pytest.mark.parametrize("role", [Role.AGENT, Role.PROVIDER, Role.ADMINISTRATOR])
def test_nobody_else_learns_even_whether_the_contact_exists(role: str) -> None:
    client = rest(make_user(role))
    for public_id in (make_contact().public_id, uuid4()):
        answer = client.post(f"/api/v1/contacts/{public_id}/break-glass/", OPENED)
        assert answer.status_code == 403
