"""The whole story of a case, by REST alone, every answer held against the OpenAPI document."""

from typing import Any

from django.http import HttpResponse

from aftersales.accounts.models import ApiClient, ClientKind, Role, User
from tests.factories import intake_team, make_shop_client, make_user
from tests.openapi import RestClient
from tests.tickets.conftest import Moment
from tickets import clocks


def staff(user: User) -> RestClient:
    client = ApiClient.objects.create(kind=ClientKind.STAFF, name=user.username, user=user)
    return RestClient(client)


def report(**changes: Any) -> dict[str, Any]:
    body = {
        "kind": "fault",
        "channel": "shop",
        "subject": "主板冒烟",
        "description": "开机五分钟后主板冒烟,请打 13800138000 联系我。",
        "occurred_at": "2026-11-20T09:30:00+08:00",
        "environment": "车间,室温",
        "tried": "已断电",
        "demand": "repair",
        "urgency": "important",
        "external_ref": "AS-1001",
        "order_number": "DD20261101001",
        "customer": {
            "name": "王小明",
            "company": "",
            "phone": "13800138000",
            "email": "wang@example.com",
            "address": "上海市浦东新区世纪大道 1 号",
        },
        "product": {"model": "PX-200", "serial_number": "SN0001", "purchased_on": "2026-11-01"},
    }
    return body | changes


def clock(case: dict[str, Any], kind: str, cycle: int = 1) -> dict[str, Any]:
    return next(c for c in case["clocks"] if (c["kind"], c["cycle"]) == (kind, cycle))


def ok(response: HttpResponse, status: int = 200) -> dict[str, Any]:
    assert response.status_code == status, response.content.decode()
    answer: dict[str, Any] = response.json()  # type: ignore[attr-defined]
    return answer


def test_a_case_is_reported_graded_handled_overdue_explained_closed_and_reopened(
    moment: Moment,
) -> None:
    intake_team()
    shop = RestClient(make_shop_client())
    owner_user = make_user(Role.AGENT)
    owner = staff(owner_user)
    supervisor, manager = staff(make_user(Role.SUPERVISOR)), staff(make_user(Role.MANAGER))

    opened = ok(shop.post("/api/v1/tickets/", report()), 201)
    url = f"/api/v1/tickets/{opened['id']}/"
    assert opened["number"] == "GZ20261120001"
    assert opened["level"] == "urgent"
    assert opened["warnings"] == ["product_unverified", "order_unknown", "no_proof_of_purchase"]
    assert opened["url"].endswith(url)
    assert "/c/" in opened["follow_up_url"]
    assert [(c["kind"], c["basis"], c["phase"]) for c in opened["clocks"]] == [
        ("acknowledge", "working", "on_time"),
        ("response", "elapsed", "on_time"),
        ("resolution", "elapsed", "on_time"),
    ]

    graded = ok(supervisor.post(f"{url}grade/", {"level": "urgent"}, If_Match='"1"'))
    assert (graded["grading"], graded["version"]) == ("confirmed", 2)
    assert ok(manager.post(f"{url}file/"))["grading"] == "filed"

    moment.later(minutes=5)
    assigned = ok(supervisor.post(f"{url}assign/", {"owner": owner_user.staff_number}))
    assert assigned["status"] == "assigned"
    assert clock(assigned, "acknowledge")["phase"] == "met"

    moment.later(minutes=5)
    said = ok(owner.post(f"{url}messages/", {"body": "请先断电,工程师马上联系您。"}), 201)
    assert said["kind"] == "reply"
    case = ok(owner.get(url))
    assert (case["status"], clock(case, "response")["phase"]) == ("in_progress", "met")
    assert case["customer"]["phone"] == "138****8000"
    assert "13800138000" not in case["description"]

    waiting = ok(owner.post(f"{url}wait/", {"reason": "customer"}))
    assert clock(waiting, "resolution")["phase"] == "paused"
    moment.later(hours=2)
    resumed = ok(owner.post(f"{url}resume/"))
    assert clock(resumed, "resolution")["due_at"] == "2026-11-21T12:00:00+08:00"

    moment("2026-11-21 12:00:01")
    late = ok(owner.get(url))
    assert clock(late, "resolution")["phase"] == "overdue"  # no worker has been there
    assert late["explanations"] == []
    clocks.sweep()
    assert [
        row["id"] for row in ok(supervisor.get("/api/v1/tickets/", overdue="true"))["results"]
    ] == [opened["id"]]
    breached = [
        event
        for event in ok(owner.get(f"{url}events/"))["results"]
        if event["name"] == "clock.breached"
    ]
    assert [(event["stage"], event["at"]) for event in breached] == [
        ("0", "2026-11-21T12:00:00+08:00")
    ]

    moment.later(hours=1)
    explained = {
        "cause": "备件缺货",
        "remedy": "已调货",
        "new_promise_at": "2026-11-22T12:00:00+08:00",
    }
    ok(owner.post(f"{url}explanations/1/submit/", explained))
    ok(manager.post(f"{url}explanations/1/return/", {"reason": "请写明调货单"}))
    ok(owner.post(f"{url}explanations/1/submit/", explained))
    ok(owner.post(f"{url}resolve/", {"resolution": "已更换主板,测试正常。"}))
    refused = owner.post(f"{url}close/")
    assert (refused.status_code, refused.json()["code"]) == (409, "explanation_unsigned")  # type: ignore[attr-defined]
    signed = ok(manager.post(f"{url}explanations/1/sign/"))
    assert signed["explanations"][0]["state"] == "signed"
    closed = ok(owner.post(f"{url}close/"))
    assert (closed["status"], clock(closed, "resolution")["phase"]) == ("closed", "met_late")

    moment("2026-11-23 09:00")
    reopened = ok(shop.post(f"{url}reopen/", {"reason": "又冒烟了"}))
    assert reopened["status"] == "in_progress"
    assert clock(reopened, "response", 2)["phase"] == "on_time"
    assert "explanations" not in reopened
