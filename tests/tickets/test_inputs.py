"""What was typed, by which door, and what it is answered: status, field and stable code.

Doors: ``shop`` and ``staff`` are the two kinds of key on ``POST /api/v1/tickets/``; ``workflow`` is
what every door ends in. A fault that the shape shows is named by REST, one of sense by workflow.
"""

from typing import Any

import pytest

from aftersales.common import errors
from tests.factories import (
    intake_team,
    make_product,
    make_report,
    make_shop_client,
    make_staff_client,
    make_unit,
    make_user,
    staff_actor,
)
from tests.openapi import RestClient
from tests.tickets.conftest import Moment
from tickets import workflow
from tickets.models import Ticket

WAY_TOO_LONG = "长" * 20_001
CUSTOMER = {"name": "王小明", "phone": "13800138000"}


def body(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "fault",
        "channel": "shop",
        "subject": "指示灯不亮",
        "description": "开机后指示灯不亮",
        "customer": CUSTOMER,
    } | changes


FAULTS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("unknown kind", {"kind": "party"}, [("/kind", "invalid_choice")]),
    ("internal kind", {"kind": "incident"}, [("/kind", "invalid_choice")]),
    ("kind of another type", {"kind": 7}, [("/kind", "wrong_type")]),
    ("unknown channel", {"channel": "pigeon"}, [("/channel", "invalid_choice")]),
    ("no subject", {"subject": ""}, [("/subject", "blank")]),
    ("blank subject", {"subject": " \n "}, [("/subject", "blank")]),
    ("long subject", {"subject": "长" * 201}, [("/subject", "max_length")]),
    ("long description", {"description": WAY_TOO_LONG}, [("/description", "max_length")]),
    ("long environment", {"environment": WAY_TOO_LONG}, [("/environment", "max_length")]),
    ("null description", {"description": None}, [("/description", "null")]),
    ("a NUL byte", {"description": "a\x00b"}, [("/description", "unstorable_text")]),
    ("half a surrogate", {"tried": "a\ud800b"}, [("/tried", "unstorable_text")]),
    ("no date", {"occurred_at": "yesterday"}, [("/occurred_at", "invalid")]),
    ("a future moment", {"occurred_at": "2026-11-21T10:00:00Z"}, [("/occurred_at", "in_future")]),
    ("the year 1026", {"occurred_at": "1026-11-21T10:00:00Z"}, [("/occurred_at", "too_early")]),
    ("unknown demand", {"demand": "money"}, [("/demand", "invalid_choice")]),
    ("unknown urgency", {"urgency": "asap"}, [("/urgency", "invalid_choice")]),
    ("a class without complaint", {"complaint_class": "product"}, [
        ("/complaint_class", "only_for_complaints")
    ]),
    ("a complaint without class", {"kind": "complaint"}, [("/complaint_class", "required")]),
    ("long reference", {"external_ref": "x" * 81}, [("/external_ref", "max_length")]),
    ("no customer", {"customer": None}, [("/customer", "null")]),
    ("customer of another type", {"customer": "王小明"}, [("/customer", "invalid")]),
    ("nameless", {"customer": {"phone": "13800138000"}}, [("/customer/name", "required")]),
    ("unreachable", {"customer": {"name": "王小明"}}, [("/customer/phone", "phone_or_email")]),
    ("no phone number", {"customer": CUSTOMER | {"phone": "call me"}}, [
        ("/customer/phone", "no_phone_number")
    ]),
    ("no mail address", {"customer": CUSTOMER | {"email": "wang@"}}, [
        ("/customer/email", "no_mail_address")
    ]),
    ("a header in the mail address", {"customer": CUSTOMER | {"email": "a@b.cn\r\nBcc: c@d.cn"}}, [
        ("/customer/email", "no_mail_address")
    ]),
    ("unknown field of the customer", {"customer": CUSTOMER | {"tier": "key"}}, [
        ("/customer/tier", "unknown_field")
    ]),
    ("bought tomorrow", {"product": {"purchased_on": "2026-11-21"}}, [
        ("/product/purchased_on", "in_future")
    ]),
    ("bought in 1889", {"product": {"purchased_on": "1889-11-21"}}, [
        ("/product/purchased_on", "too_early")
    ]),
    ("no such day", {"product": {"purchased_on": "2026-02-30"}}, [
        ("/product/purchased_on", "invalid")
    ]),
    ("unknown way of purchase", {"product": {"purchase_channel": "swap"}}, [
        ("/product/purchase_channel", "invalid_choice")
    ]),
    ("long model", {"product": {"model": "x" * 81}}, [("/product/model", "max_length")]),
    ("a status of one's own", {"status": "closed", "level": "urgent"}, [
        ("/status", "unknown_field"), ("/level", "unknown_field")
    ]),
    ("two faults at once", {"subject": "", "customer": {"name": "王"}, "demand": "x"}, [
        ("/subject", "blank"), ("/demand", "invalid_choice")
    ]),
]  # fmt: skip


@pytest.fixture(params=["shop", "staff"])
def door(request: pytest.FixtureRequest, moment: Moment) -> RestClient:
    intake_team()
    client = make_shop_client() if request.param == "shop" else make_staff_client(make_user())
    return RestClient(client)


@pytest.mark.parametrize(
    ("changes", "faults"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
def test_a_wrong_report_is_told_field_and_code_and_leaves_nothing(
    door: RestClient, changes: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    answer = door.post("/api/v1/tickets/", body(**changes))
    problem = answer.json()  # type: ignore[attr-defined]
    found = [(fault["pointer"], fault["code"]) for fault in problem["errors"]]
    assert (answer.status_code, sorted(found)) == (422, sorted(faults))
    assert all(fault["detail"] for fault in problem["errors"])
    assert not Ticket.objects.exists()


@pytest.mark.parametrize("changes", [
    {"urgency": "unknown", "demand": "other", "environment": "", "tried": ""},
    {"customer": {"company": "某某公司", "email": "a@b.cn"}},
    {"customer": CUSTOMER | {"phone": "+49 30 1234567"}},
    {"customer": CUSTOMER | {"phone": "010-6278 1234"}},
    {"product": {"model": "从未听说", "serial_number": "X" * 80}},
    {"subject": "<script>alert(1)</script>", "description": "' OR 1=1 --"},
    {"occurred_at": "2026-11-20T10:00:00+08:00", "product": {"purchased_on": "2026-11-20"}},
    {"kind": "complaint", "complaint_class": "other"},
    {"external_ref": None, "order_number": "没有的单号"},
])  # fmt: skip
def test_what_is_merely_unusual_is_taken(door: RestClient, changes: dict[str, Any]) -> None:
    answer = door.post("/api/v1/tickets/", body(**changes))
    assert answer.status_code == 201, answer.content


def test_unknown_goods_and_orders_are_taken_and_marked(door: RestClient) -> None:
    told = body(product={"model": "P-1", "serial_number": "S-1"}, order_number="DD1")
    taken = door.post("/api/v1/tickets/", told).json()  # type: ignore[attr-defined]
    assert taken["warnings"] == ["product_unverified", "order_unknown", "no_proof_of_purchase"]


def test_known_goods_are_recognised_whatever_their_spelling(door: RestClient) -> None:
    unit = make_unit(product=make_product(model="PX-200"), serial_number="SN-1")
    told = body(product={"model": "ｐｘ-200", "serial_number": "sn-1"})
    door.post("/api/v1/tickets/", told)
    ticket = Ticket.objects.get()
    assert (ticket.unit, ticket.product_unverified) == (unit, False)


@pytest.mark.parametrize(
    ("channel", "status"), [("shop", 201), ("marketplace", 201), ("phone", 422)]
)
def test_a_shop_reports_by_its_own_channels(moment: Moment, channel: str, status: int) -> None:
    intake_team()
    answer = RestClient(make_shop_client()).post("/api/v1/tickets/", body(channel=channel))
    assert answer.status_code == status


def test_a_repeated_reference_is_answered_with_the_first_case(door: RestClient) -> None:
    first = door.post("/api/v1/tickets/", body(external_ref="AS-1")).json()  # type: ignore[attr-defined]
    second = door.post("/api/v1/tickets/", body(external_ref="AS-1"))
    problem = second.json()  # type: ignore[attr-defined]
    assert (second.status_code, problem["code"]) == (409, "external_ref_exists")
    assert problem["url"] == first["url"]
    assert Ticket.objects.count() == 1


def test_the_same_reference_of_another_shop_is_another_case(moment: Moment) -> None:
    intake_team()
    for client in (make_shop_client(), make_shop_client()):
        answer = RestClient(client).post("/api/v1/tickets/", body(external_ref="AS-1"))
        assert answer.status_code == 201


@pytest.mark.parametrize(("path", "sent", "fault"), [
    ("messages", {"body": ""}, ("/body", "blank")),
    ("messages", {"body": "您好", "author": "S1"}, ("/author", "unknown_field")),
    ("messages", {"body": "您好", "internal": "yes"}, ("/internal", "wrong_type")),
    ("grade", {"level": "mild"}, ("/level", "invalid_choice")),
    ("grade", {"level": "urgent"}, ("/reason", "reason_missing")),
    ("assign", {"owner": "nobody"}, ("/owner", "unknown_owner")),
    ("complained-of", {"person": "nobody"}, ("/person", "unknown_person")),
    ("wait", {"reason": "coffee"}, ("/reason", "unknown_reason")),
    ("resolve", {"resolution": " "}, ("/resolution", "blank")),
    ("cancel", {}, ("/reason", "required")),
    ("file", {"decision": "burn"}, ("/decision", "invalid_choice")),
])  # fmt: skip
def test_a_wrong_step_is_told_field_and_code_and_changes_nothing(
    moment: Moment, path: str, sent: dict[str, Any], fault: tuple[str, str]
) -> None:
    owner = staff_actor("agent", "engineer", "supervisor", "manager")
    assert owner.user is not None
    ticket = workflow.take_in(make_report(), by=owner).ticket
    workflow.assign_ticket(ticket.pk, owner_id=owner.user.pk, by=owner)
    events = ticket.events.count()
    client = RestClient(make_staff_client(owner.user))
    answer = client.post(f"/api/v1/tickets/{ticket.public_id}/{path}/", sent)
    problem = answer.json()  # type: ignore[attr-defined]
    assert answer.status_code == 422
    assert [(found["pointer"], found["code"]) for found in problem["errors"]] == [fault]
    assert ticket.events.count() == events


def test_the_reason_is_in_the_readers_language(moment: Moment) -> None:
    with pytest.raises(errors.Invalid):
        workflow.take_in(make_report(subject=""), by=staff_actor())
    shop = RestClient(make_shop_client())
    told = {}
    for language in ("en", "zh-hans"):
        answer = shop.post("/api/v1/tickets/", body(subject=""), Accept_Language=language)
        told[language] = answer.json()["errors"][0]["detail"]  # type: ignore[attr-defined]
    assert told["en"].isascii()
    assert not told["zh-hans"].isascii()
