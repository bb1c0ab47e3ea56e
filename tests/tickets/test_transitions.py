"""The machine, whole: every status × every event × everybody who may try.

``TABLE`` is written by hand from the requirements (People; R-IN-9, R-SLA-2, R-HA-1; the machine of
the design) and shares nothing with tickets.states and tickets.permissions but the names.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from aftersales.accounts import actors
from aftersales.accounts.actors import SYSTEM, Actor
from aftersales.accounts.models import Role
from aftersales.common import errors
from tests.factories import (
    make_contact,
    make_shop,
    make_shop_client,
    make_team,
    make_ticket,
    make_user,
    staff_actor,
)
from tests.tickets.conftest import Moment
from tests.tickets.uploads import numbered_picture, upload
from tickets import states, workflow
from tickets.models import GradingForm, Ticket

# --- what is expected -----------------------------------------------------------------------------

OPEN = ["new", "assigned", "in_progress", "waiting"]
UNTIL_RESOLVED = [*OPEN, "resolved"]
EVERY = [*UNTIL_RESOLVED, "closed", "cancelled", "merged"]

OUTSIDE = ["own_customer", "own_shop", "own_dealer"]
INSIDE = [
    "owner",
    "agent_of_team",
    "agent_of_other_team",
    "engineer",
    "warehouse",
    "finance",
    "inspector",
    "supervisor_of_team",
    "supervisor_of_other_team",
    "manager",
]
# Providers see jobs, departments their tasks, a dealer what they passed on, an administrator none.
BLIND = [
    "department",
    "provider",
    "other_dealer",
    "administrator",
    "other_shop",
    "other_customer",
]
EVERYBODY = [*INSIDE, *OUTSIDE, *BLIND, "system"]

HANDLES = ["owner", "supervisor_of_team"]
LEADS = ["supervisor_of_team", "manager"]

# event: (from which states, by whom)
TABLE: dict[str, tuple[list[str], list[str]]] = {
    "assign": (OPEN, LEADS),  # and whoever of the team takes what nobody owns, see below
    "name_complained_of": (OPEN, LEADS),
    "start": (["assigned"], HANDLES),
    "reply": (UNTIL_RESOLVED, HANDLES),
    "write": (UNTIL_RESOLVED, OUTSIDE),
    "note": (EVERY, INSIDE),
    "attach": (UNTIL_RESOLVED, [*HANDLES, *OUTSIDE]),
    "grade": (OPEN, ["supervisor_of_team", "engineer"]),
    "file": (UNTIL_RESOLVED, ["manager"]),
    "return_filing": (UNTIL_RESOLVED, ["manager"]),
    "wait": (["assigned", "in_progress"], HANDLES),
    "resume": (["waiting"], HANDLES),
    "urge": (OPEN, [*INSIDE, *OUTSIDE]),
    "resolve": (["assigned", "in_progress", "waiting"], HANDLES),
    "close": (["resolved"], [*HANDLES, "manager", "system"]),
    "reopen": (["resolved", "closed"], [*HANDLES, "manager", "system", *OUTSIDE]),
    "cancel": (OPEN, [*LEADS, *OUTSIDE]),
}
# A new case is nobody's: its later owner is one agent of the team like any other.
MAY_TAKE = ["owner", "agent_of_team", "engineer"]


def expected(event: str, status: str, who: str) -> str:
    sources, allowed = TABLE[event]
    unowned = status == "new"
    if unowned:
        allowed = [name for name in allowed if name != "owner" or event in ("note", "urge")]
        if event == "assign":
            allowed = [*allowed, *MAY_TAKE]
    if who in BLIND:
        return "NotVisible"
    if who not in allowed:
        return "NotAllowed"
    return "ok" if status in sources else "WrongState"


# --- who and what ---------------------------------------------------------------------------------


@pytest.fixture
def people(moment: Moment) -> dict[str, Actor]:
    other = make_team()
    return {
        "owner": staff_actor(Role.AGENT),
        "agent_of_team": staff_actor(Role.AGENT),
        "agent_of_other_team": staff_actor(Role.AGENT, team=other),
        "engineer": staff_actor(Role.ENGINEER),
        "warehouse": staff_actor(Role.WAREHOUSE),
        "finance": staff_actor(Role.FINANCE),
        "department": staff_actor(Role.DEPARTMENT),
        "provider": staff_actor(Role.PROVIDER, team=None),
        "own_dealer": staff_actor(Role.DEALER, team=None),
        "other_dealer": staff_actor(Role.DEALER, team=None),
        "inspector": staff_actor(Role.INSPECTOR),
        "supervisor_of_team": staff_actor(Role.SUPERVISOR),
        "supervisor_of_other_team": staff_actor(Role.SUPERVISOR, team=other),
        "manager": staff_actor(Role.MANAGER, team=None),
        "administrator": staff_actor(Role.ADMINISTRATOR, team=None),
        "own_shop": actors.shop(make_shop_client()),
        "other_shop": actors.shop(make_shop_client(make_shop())),
        "other_customer": actors.customer(make_contact().pk),
        "system": SYSTEM,
    }


@pytest.fixture
def ticket(people: dict[str, Actor], moment: Moment) -> Ticket:
    """Passed on by the dealer, of the shop's customer, decided as urgent and not filed yet."""
    ticket = make_ticket(by=people["own_dealer"], channel="dealer")
    Ticket.objects.filter(pk=ticket.pk).update(
        shop=people["own_shop"].shop, level="urgent", grading="confirmed"
    )
    GradingForm.objects.create(
        ticket=ticket, number=1, from_level="urgent", to_level="urgent", decided_at=moment.now
    )
    assert ticket.contact_id is not None
    people["own_customer"] = actors.customer(ticket.contact_id)
    return ticket


def put(ticket: Ticket, status: str, owner: Actor, moment: Moment) -> None:
    """The row as it stands in this status, however it came there."""
    earlier = moment.now - timedelta(minutes=1)
    Ticket.objects.filter(pk=ticket.pk).update(
        status=status,
        owner=None if status == "new" else owner.user,
        waiting_reason="customer" if status == "waiting" else "",
        resolved_at=earlier if status in ("resolved", "closed") else None,
        closed_at=earlier if status == "closed" else None,
        cancelled_at=earlier if status == "cancelled" else None,
    )


def attempts(heir: int) -> dict[str, Callable[[int, Actor], Any]]:
    """Each event as somebody would try it, with nothing wrong but perhaps who and when."""

    def assign(pk: int, by: Actor) -> None:
        takes = by.user is not None and by.has_role(Role.AGENT, Role.ENGINEER)
        owner = by.user.pk if takes and by.user else heir
        workflow.assign_ticket(pk, owner_id=owner, by=by)

    words = workflow.Words("您好")
    return {
        "assign": assign,
        "name_complained_of": lambda pk, by: workflow.name_complained_of(pk, user_id=heir, by=by),
        "start": lambda pk, by: workflow.start_ticket(pk, by=by),
        "reply": lambda pk, by: workflow.reply_to_customer(pk, words, by=by),
        "write": lambda pk, by: workflow.write_as_customer(pk, words, by=by),
        "note": lambda pk, by: workflow.write_note(pk, words, by=by),
        "attach": lambda pk, by: workflow.attach_file(pk, upload(numbered_picture(7)), by=by),
        "grade": lambda pk, by: workflow.grade_ticket(pk, level="general", reason="误判", by=by),
        "file": lambda pk, by: workflow.file_grading(pk, by=by),
        "return_filing": lambda pk, by: workflow.return_filing(pk, reason="理由不足", by=by),
        "wait": lambda pk, by: workflow.wait_ticket(pk, reason="customer", by=by),
        "resume": lambda pk, by: workflow.resume_ticket(pk, by=by),
        "urge": lambda pk, by: workflow.urge_ticket(pk, by=by),
        "resolve": lambda pk, by: workflow.resolve_ticket(pk, resolution="已更换", by=by),
        "close": lambda pk, by: workflow.close_ticket(pk, by=by),
        "reopen": lambda pk, by: workflow.reopen_ticket(pk, reason="仍不亮", by=by),
        "cancel": lambda pk, by: workflow.cancel_ticket(pk, reason="重复", by=by),
    }


def outcome(attempt: Callable[[int, Actor], Any], pk: int, by: Actor) -> str:
    """How it ends; nothing of it stays."""
    with transaction.atomic():
        try:
            with transaction.atomic():
                attempt(pk, by)
        except errors.DomainError as error:
            return type(error).__name__
        transaction.set_rollback(True)
    return "ok"


def pairs() -> Iterator[tuple[str, str]]:
    return ((status, who) for status in EVERY for who in EVERYBODY)


# --- the comparison -------------------------------------------------------------------------------


def test_the_table_names_every_event_status_and_kind_of_actor() -> None:
    assert set(TABLE) == set(states.TRANSITIONS) == set(attempts(0))
    assert set(EVERY) == set(states.Status.values)
    assert len(EVERYBODY) == len(set(EVERYBODY))


@pytest.mark.parametrize("event", TABLE)
def test_everybody_may_do_what_the_table_says_and_nothing_else(
    event: str, people: dict[str, Actor], ticket: Ticket, moment: Moment
) -> None:
    assert set(people) == set(EVERYBODY)
    attempt = attempts(make_user(Role.AGENT).pk)[event]
    wrong = {}
    for status, who in pairs():
        put(ticket, status, people["owner"], moment)
        if (found := outcome(attempt, ticket.pk, people[who])) != expected(event, status, who):
            wrong[status, who] = (found, expected(event, status, who))
    assert wrong == {}


@pytest.mark.parametrize("who", ["agent_of_team", "engineer", "supervisor_of_team", "manager"])
def test_the_person_complained_of_may_only_look_and_note(
    who: str, people: dict[str, Actor], ticket: Ticket, moment: Moment
) -> None:
    """Manual B: a complaint is never handled by the person complained of."""
    Ticket.objects.filter(pk=ticket.pk).update(complained_of=people[who].user)
    done = set()
    for event, attempt in attempts(make_user(Role.AGENT).pk).items():
        for status in TABLE[event][0]:
            put(ticket, status, people["owner"], moment)
            if outcome(attempt, ticket.pk, people[who]) == "ok":
                done.add(event)
    assert done == {"note", "urge"}


LEADS_TO = {
    ("assign", "new"): "assigned",
    ("start", "assigned"): "in_progress",
    ("reply", "assigned"): "in_progress",
    ("write", "waiting"): "in_progress",
    ("attach", "waiting"): "waiting",
    ("wait", "assigned"): "waiting",
    ("wait", "in_progress"): "waiting",
    ("resume", "waiting"): "in_progress",
    ("resolve", "assigned"): "resolved",
    ("resolve", "in_progress"): "resolved",
    ("resolve", "waiting"): "resolved",
    ("close", "resolved"): "closed",
    ("reopen", "resolved"): "in_progress",
    ("reopen", "closed"): "in_progress",
    ("cancel", "new"): "cancelled",
    ("cancel", "assigned"): "cancelled",
    ("cancel", "in_progress"): "cancelled",
    ("cancel", "waiting"): "cancelled",
}


@pytest.mark.parametrize("event", TABLE)
def test_every_event_leads_where_the_machine_says(
    event: str, people: dict[str, Actor], ticket: Ticket, moment: Moment
) -> None:
    attempt = attempts(make_user(Role.AGENT).pk)[event]
    by = people[next(who for who in TABLE[event][1] if who != "owner")]
    wrong = {}
    for status in TABLE[event][0]:
        put(ticket, status, people["owner"], moment)
        with transaction.atomic():
            attempt(ticket.pk, by)
            ticket.refresh_from_db()
            transaction.set_rollback(True)
        if ticket.status != LEADS_TO.get((event, status), status):
            wrong[status] = ticket.status
    assert wrong == {}
