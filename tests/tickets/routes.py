"""Cases in the permission table: whose case it is decides, then the role.

The world's case was reported by the persona ``shop``, belongs to ``agent_owner`` and is overdue;
all staff are of its team. ``elsewhere`` is a case of the persona ``other_shop``.
"""

from typing import Any
from uuid import uuid4

from tests.calls import Call, Codes, World, by_key, everybody
from tests.personas import OUTSIDERS, SHOPS

READERS = (
    "agent_owner",
    "agent_other",
    "engineer",
    "warehouse",
    "finance",
    "inspector",
    "supervisor",
    "manager",
)
# They see the cases that are given to them or that they passed on; here none.
STRANGERS = ("department", "provider", "dealer", "administrator")
NO_SHOP = dict.fromkeys(SHOPS, 403)


def of_the_case(*, readers: int, shop: int, **others: int) -> Codes:
    """Codes for the world's case: strangers and the other shop never learn that it exists."""
    return (
        dict.fromkeys(READERS, readers)
        | dict.fromkeys(STRANGERS, 404)
        | {"shop": shop, "other_shop": 404, "shop_reader": shop}
        | dict.fromkeys(OUTSIDERS, 401)
        | others
    )


def event(readers: int = 403, shops: Codes | None = None, **others: int) -> Codes:
    """Codes for an event that only the named personas may cause; keys of shops lack the scope."""
    return of_the_case(readers=readers, shop=403) | (shops or NO_SHOP) | others


OWN_WORDS = {"shop": 201, "other_shop": 404, "shop_reader": 403}
OWN_EVENT = {"shop": 200, "other_shop": 404, "shop_reader": 403}


def case(world: World) -> dict[str, Any]:
    return {"public_id": world.ticket.public_id}


def gone(world: World) -> dict[str, Any]:
    return {"public_id": uuid4()}


def explanation(world: World) -> dict[str, Any]:
    return case(world) | {"number": 1}


def gone_explanation(world: World) -> dict[str, Any]:
    return gone(world) | {"number": 1}


def no_explanation(world: World) -> dict[str, Any]:
    return case(world) | {"number": 999}


def post(
    codes: Codes, body: dict[str, Any] | None = None, path: Any = case, hidden: Any = gone
) -> Call:
    return Call("POST", codes, path=path, body=lambda world: body or {}, hidden=hidden)


def report(world: World) -> dict[str, Any]:
    return {
        "kind": "fault",
        "channel": "shop",
        "subject": "指示灯不亮",
        "description": "开机后不亮",
        "customer": {"name": "王小明", "phone": "13800138000"},
    }


def report_with_foreign_order(world: World) -> dict[str, Any]:
    """The order belongs to ``other_shop``: whoever names it is told the same as for an unknown."""
    return report(world) | {"order_number": world.foreign_order_number}


def somebody(name: str, field: str) -> Any:
    return lambda world: {field: world.user(name).staff_number}


MAY_REPORT = (
    dict.fromkeys(READERS, 201)
    | {"warehouse": 403, "finance": 403, "inspector": 403}
    | {"department": 403, "provider": 403, "administrator": 403}
    # A dealer's channel is another one.
    | {"dealer": 422}
    | {"shop": 201, "other_shop": 201, "shop_reader": 403}
    | dict.fromkeys(OUTSIDERS, 401)
)

TICKET_ROUTES: dict[str, list[Call]] = {
    "tickets-api:ticket-list": [
        Call("GET", by_key(200)),
        Call("GET", by_key(400), query=lambda world: {"cursor": "forged"}),
        Call("GET", by_key(422), query=lambda world: {"customer": str(world.contact.public_id)}),
        Call("POST", MAY_REPORT, body=report),
        Call("POST", MAY_REPORT, body=report_with_foreign_order),
        Call(
            "POST",
            # The shape is judged before the right.
            by_key(422) | {"shop_reader": 403},
            body=lambda world: report(world) | {"owner": world.user("agent_other").staff_number},
        ),
    ],
    "tickets-api:ticket-detail": [
        Call("GET", of_the_case(readers=200, shop=200), path=case, hidden=gone),
        Call(
            "GET",
            of_the_case(readers=200, shop=404, other_shop=200),
            path=lambda world: {"public_id": world.elsewhere.public_id},
            hidden=gone,
        ),
    ],
    "tickets-api:ticket-messages": [
        Call("GET", of_the_case(readers=200, shop=200), path=case, hidden=gone),
        post(event(403, OWN_WORDS, agent_owner=201, supervisor=201), {"body": "您好"}),
        post(
            event(201, OWN_WORDS | {"shop": 422}),
            {"body": "内部备注", "internal": True},
        ),
    ],
    "tickets-api:ticket-events": [Call("GET", event(200), path=case, hidden=gone)],
    "tickets-api:ticket-assign": [
        Call(
            "POST",
            event(supervisor=200, manager=200),
            path=case,
            body=somebody("agent_other", "owner"),
            hidden=gone,
        ),
        # Nobody can be made an owner who is no handler.
        Call(
            "POST",
            event(supervisor=422, manager=422),
            path=case,
            body=somebody("administrator", "owner"),
        ),
    ],
    "tickets-api:ticket-complained-of": [
        Call(
            "POST",
            event(supervisor=200, manager=200),
            path=case,
            body=somebody("agent_other", "person"),
            hidden=gone,
        )
    ],
    "tickets-api:ticket-start": [post(event(agent_owner=200, supervisor=200))],
    "tickets-api:ticket-grade": [post(event(supervisor=200, engineer=200), {"level": "urgent"})],
    "tickets-api:ticket-file": [post(event(manager=409))],
    "tickets-api:ticket-wait": [
        post(event(agent_owner=200, supervisor=200), {"reason": "customer"})
    ],
    "tickets-api:ticket-resume": [post(event(agent_owner=409, supervisor=409))],
    "tickets-api:ticket-urge": [post(event(200, OWN_EVENT))],
    "tickets-api:ticket-resolve": [
        post(event(agent_owner=200, supervisor=200), {"resolution": "已更换"})
    ],
    "tickets-api:ticket-close": [post(event(agent_owner=409, supervisor=409, manager=409))],
    "tickets-api:ticket-reopen": [
        post(
            event(403, OWN_EVENT | {"shop": 409}, agent_owner=409, supervisor=409, manager=409),
            {"reason": "仍不亮"},
        )
    ],
    "tickets-api:ticket-cancel": [
        post(event(403, OWN_EVENT, supervisor=200, manager=200), {"reason": "误报"})
    ],
    "tickets-api:ticket-submit-explanation": [
        post(
            event(agent_owner=200),
            {"cause": "缺货", "remedy": "调货"},
            explanation,
            gone_explanation,
        ),
        post(
            dict.fromkeys(READERS + STRANGERS, 404) | NO_SHOP | dict.fromkeys(OUTSIDERS, 401),
            {"cause": "缺货", "remedy": "调货"},
            path=no_explanation,
            hidden=None,
        ),
    ],
    "tickets-api:ticket-sign-explanation": [
        post(event(manager=409), None, explanation, gone_explanation)
    ],
    "tickets-api:ticket-return-explanation": [
        post(event(manager=409), {"reason": "不清楚"}, explanation, gone_explanation)
    ],
    "tickets-api:attachment-list": [
        Call("GET", of_the_case(readers=200, shop=200), path=case, hidden=gone),
        # JSON is no file; how files are taken, tests/tickets/test_attachments.py says.
        Call("POST", by_key(415) | {"shop_reader": 403}, path=case),
    ],
    "tickets-api:attachment-detail": [
        Call("GET", by_key(404), path=lambda world: case(world) | {"attachment_id": uuid4()})
    ],
    "tickets:customer-case": [
        Call("GET", everybody(404), path=lambda world: {"token": "forged"}),
        Call("POST", everybody(404), path=lambda world: {"token": "forged"}),
        Call("*", everybody(405), path=lambda world: {"token": "forged"}),
    ],
}
