"""Cases whose promises come due while a test runs: a policy of seconds, copies of real cases."""

from datetime import timedelta
from typing import Any

from django.db import connection

from aftersales.accounts import actors
from aftersales.accounts.actors import Actor
from aftersales.accounts.models import ApiClient, ClientKind, Role, User
from aftersales.common import dbtime
from aftersales.setup import profile
from tests.factories import intake_team, make_report, make_shop_client, make_user
from tests.openapi import new_key
from tickets import workflow
from tickets.models import CalendarVersion, Ticket
from tickets.workflow import publishing

SHOP = "faults-shop"
AGENT, SUPERVISOR, MANAGER = "faults-agent", "faults-supervisor", "faults-manager"

# Seconds of acknowledgement, response, resolution; an explanation is due after some more.
BUDGETS = {"urgent": (1, 2, 4), "important": (2, 3, 6), "general": (3, 5, 8)}
EXPLANATION, SIGNATURE = 4, 4
BRIEF = "brief"


def lay_ground() -> None:
    """What every test begins with: people, a shop with its key's client, and the quick policy."""
    now = dbtime.database_now()
    rules = profile.load("maker", now=now - timedelta(days=1))
    calendar = CalendarVersion.objects.get(calendar=rules.default_calendar).calendar
    # A while ago, since the cases of the tests are received a few seconds before now.
    publishing.publish_policy(quick_policy(), calendar, now=now - timedelta(hours=1))
    intake_team()
    make_user(Role.AGENT, username=AGENT)
    make_user(Role.SUPERVISOR, username=SUPERVISOR)
    make_user(Role.MANAGER, username=MANAGER)
    make_shop_client(name=SHOP)


def quick_policy() -> dict[str, Any]:
    """The rules of "maker" with promises of seconds."""
    rules = profile.read("maker")
    rules["name"] = "faults"
    rules["target"] = [
        _target(kind, seconds, level=level)
        for level, all_seconds in BUDGETS.items()
        for kind, seconds in zip(
            ("acknowledge", "response", "resolution"), all_seconds, strict=True
        )
    ]
    rules["target"] += [
        _target("explanation", EXPLANATION, explain=False),
        _target("signature", SIGNATURE, explain=False),
    ]
    # A wait that is over as soon as it began, so that the sweep ends it.
    rules["pause_reason"] += [{**rules["pause_reason"][0], "code": BRIEF, "longest": 0}]
    return rules


def _target(kind: str, seconds: int, **values: Any) -> dict[str, Any]:
    return {
        "clock": kind,
        "budgets": [{"basis": "elapsed", "seconds": seconds}],
        "stages": [
            {"at": "80%", "to": ["owner"]},
            {"at": "0", "to": ["owner", "supervisor"]},
            {"at": "+50%", "to": ["manager"]},
        ],
        "explain": kind != "acknowledge",
        **values,
    }


def person(name: str) -> User:
    return User.objects.get(username=name)


def actor(name: str) -> Actor:
    return actors.staff(person(name))


def shop_key() -> str:
    return new_key(ApiClient.objects.get(name=SHOP))


def staff_key(name: str) -> str:
    user = person(name)
    client, _created = ApiClient.objects.get_or_create(kind=ClientKind.STAFF, name=name, user=user)
    return new_key(client)


def give_to_shop(ticket_id: int) -> None:
    """Make it a case of the shop."""
    shop = ApiClient.objects.get(name=SHOP).shop
    Ticket.objects.filter(pk=ticket_id).update(shop=shop)


_TICKETS = """
INSERT INTO tickets_ticket ({columns})
SELECT {values} FROM tickets_ticket AS own, generate_series(1, %(count)s) AS n,
    LATERAL (SELECT n * %(apart)s * interval '1 second' AS shift) AS later
WHERE own.id = %(model)s
RETURNING id
"""
_CLOCKS = """
INSERT INTO tickets_clock ({columns})
SELECT {values} FROM tickets_clock AS own
JOIN tickets_ticket AS model ON model.id = own.ticket_id
JOIN tickets_ticket AS copy ON copy.id = ANY(%(ids)s),
    LATERAL (SELECT copy.received_at - model.received_at AS shift) AS later
WHERE model.id = %(model)s
"""
_TICKET_TIMES = ("wake_at", "next_due_at", "received_at", "created_at")
_CLOCK_TIMES = ("started_at", "due_at", "risk_at", "next_at")


def gather(count: int, *, seconds: float, urgency: str = "general") -> list[int]:
    """``count`` new cases, each received a moment after the one before, over ``seconds``.

    Returns their ids. They are copies of a case that came in by the one door, all times of it
    moved; the first promise of the first case is due at once.
    """
    budget = timedelta(seconds=BUDGETS[urgency][0])
    with dbtime.at(dbtime.database_now() - budget):
        model = workflow.take_in(make_report(urgency=urgency), by=actor(SUPERVISOR)).ticket
    assert model.level == urgency
    shifted = {name: f"{name} + shift" for name in _TICKET_TIMES}
    own = {
        "public_id": "gen_random_uuid()",
        "number": f"'{urgency[0]}{model.pk}-' || n",
        "originals": "NULL",
        "submission_id": "NULL",
    }
    apart = {"count": count - 1, "apart": seconds / count, "model": model.pk}
    rows = _insert(_TICKETS, "tickets_ticket", {**shifted, **own}, apart)
    ids = [row[0] for row in rows]
    times = {name: f"own.{name} + shift" for name in _CLOCK_TIMES}
    stages = (
        "ARRAY(SELECT at + shift FROM unnest(own.stage_at) WITH ORDINALITY AS s (at, n) ORDER BY n)"
    )
    _insert(
        _CLOCKS,
        "tickets_clock",
        {**times, "ticket_id": "copy.id", "stage_at": stages},
        {"ids": ids, "model": model.pk},
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tickets_ticket, tickets_clock")
    return [model.pk, *ids]


def _insert(
    statement: str, table: str, changed: dict[str, str], params: dict[str, Any]
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        description = connection.introspection.get_table_description(cursor, table)
        names = [column.name for column in description if column.name != "id"]
        columns = ", ".join(f'"{name}"' for name in names)
        values = ", ".join(changed.get(name, f'own."{name}"') for name in names)
        cursor.execute(statement.format(columns=columns, values=values), params)
        return list(cursor.fetchall()) if cursor.description else []
