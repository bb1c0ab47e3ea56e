"""Manual E's own deadlines, each on time, at the last second, and a second late."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import product

import pytest

from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role
from tests.factories import make_ticket, staff_actor
from tests.tickets.conftest import Moment, at
from tests.tickets.promises import clock_of, take
from tickets import clocks, workflow
from tickets.models import Ticket
from tickets.sla import Phase

FRIDAY, EVENING, SATURDAY = "2026-11-20 10:00", "2026-11-20 17:10", "2026-11-21 10:00"
BEFORE_HOLIDAY = "2026-09-30 10:00"  # National Day to 10-07, make-up day on Saturday 10-10


@dataclass(frozen=True)
class Promise:
    """What a level promises a report of this moment, counted by hand."""

    kind: str
    level: str
    received: str
    due: str

    def __str__(self) -> str:
        return f"{self.level} {self.kind}, {self.received}"


PROMISES = [
    Promise("acknowledge", "general", FRIDAY, "2026-11-20 10:10"),
    Promise("acknowledge", "general", "2026-11-20 17:25", "2026-11-23 08:35"),
    Promise("acknowledge", "urgent", EVENING, "2026-11-20 17:20"),
    Promise("acknowledge", "urgent", SATURDAY, "2026-11-21 10:10"),
    Promise("response", "urgent", FRIDAY, "2026-11-20 10:30"),
    Promise("response", "urgent", SATURDAY, "2026-11-21 10:30"),
    Promise("response", "important", EVENING, "2026-11-20 19:10"),
    Promise("response", "general", FRIDAY, "2026-11-20 15:30"),
    Promise("response", "general", EVENING, "2026-11-23 13:40"),
    Promise("response", "general", SATURDAY, "2026-11-23 14:00"),
    Promise("resolution", "urgent", FRIDAY, "2026-11-21 10:00"),
    Promise("resolution", "important", FRIDAY, "2026-11-23 10:00"),
    Promise("resolution", "general", FRIDAY, "2026-11-27 17:30"),
    Promise("resolution", "general", SATURDAY, "2026-11-27 17:30"),
    Promise("resolution", "general", BEFORE_HOLIDAY, "2026-10-13 17:30"),
]


@pytest.fixture
def owner(moment: Moment) -> Actor:
    return staff_actor()


def keep(ticket: Ticket, kind: str, by: Actor) -> None:
    """Do what this promise asks for."""
    if kind == "acknowledge":
        take(ticket, by)
    elif kind == "response":
        workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=by)
    else:
        workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=by)


def reported(promise: Promise, by: Actor, moment: Moment) -> Ticket:
    moment(promise.received)
    ticket = make_ticket(urgency=promise.level, by=by)
    assert ticket.level == promise.level
    if promise.kind != "acknowledge":
        take(ticket, by)
    return ticket


SECOND = timedelta(seconds=1)
MOMENTS = {-SECOND: Phase.MET, timedelta(0): Phase.MET, SECOND: Phase.MET_LATE}


@pytest.mark.parametrize("promise", PROMISES, ids=str)
def test_it_judges_the_deed_by_its_moment_and_never_by_the_sweeps(
    promise: Promise, moment: Moment, owner: Actor
) -> None:
    for (after, verdict), swept in product(MOMENTS.items(), (False, True)):
        ticket = reported(promise, owner, moment)
        moment.set(at(promise.due) + after)
        if swept:
            clocks.sweep()
        keep(ticket, promise.kind, owner)
        moment.later(days=60)
        clocks.sweep()
        clock = clock_of(ticket, promise.kind)
        late = verdict == Phase.MET_LATE
        assert clock.phase(moment.now) == verdict, (after, swept)
        assert clock.breached_at == (at(promise.due) if late else None)
        assert clock.events.filter(name="clock.breached").count() == late
        assert clock.explanations.count() == (late and promise.kind != "acknowledge")


@pytest.mark.parametrize("promise", PROMISES, ids=str)
def test_it_shows_a_promise_nobody_keeps_as_overdue_from_the_first_moment_after(
    promise: Promise, moment: Moment, owner: Actor
) -> None:
    ticket = reported(promise, owner, moment)
    clock = clock_of(ticket, promise.kind)
    assert clock.phase(at(promise.due)) == Phase.AT_RISK
    assert clock.phase(at(promise.due) + timedelta(microseconds=1)) == Phase.OVERDUE


def test_it_escalates_to_owner_supervisor_and_manager_in_turn(moment: Moment, owner: Actor) -> None:
    ticket = make_ticket(urgency="important", by=owner)
    for later in (96, 24, 60, 1):
        moment.later(minutes=later, seconds=1)
        clocks.sweep()
    told = ticket.events.filter(params__kind="response", clock__isnull=False).order_by("pk")
    assert [(event.name, event.at, event.params["superseded"]) for event in told] == [
        ("clock.warned", at("2026-11-20 11:36"), False),
        ("clock.breached", at("2026-11-20 12:00"), False),
        ("clock.escalated", at("2026-11-20 13:00"), False),
    ]


# --- the overdue explanation: a working day, then two for the signature ---------------------------


@pytest.fixture
def late(moment: Moment, owner: Actor) -> Ticket:
    """An urgent case without its first response; explained by the end of Monday."""
    ticket = make_ticket(urgency="urgent", by=owner)
    take(ticket, owner)
    moment("2026-11-20 10:31")
    clocks.sweep()
    return ticket


@pytest.mark.parametrize(
    ("written", "phase"),
    [("2026-11-23 17:30:00", Phase.MET), ("2026-11-23 17:30:01", Phase.MET_LATE)],
)
def test_the_explanation_is_due_at_the_end_of_the_next_working_day(
    late: Ticket, owner: Actor, moment: Moment, written: str, phase: Phase
) -> None:
    moment(written)
    explain(late, owner)
    clock = clock_of(late, "explanation", "1")
    assert clock.phase(moment.now) == phase
    assert not clock.explanations.exists()


@pytest.mark.parametrize(
    ("signed", "phase"),
    [("2026-11-25 17:30:00", Phase.MET), ("2026-11-25 17:30:01", Phase.MET_LATE)],
)
def test_the_signature_is_due_two_working_days_later(
    late: Ticket, owner: Actor, moment: Moment, signed: str, phase: Phase
) -> None:
    moment("2026-11-23 09:00")
    explain(late, owner)
    moment(signed)
    workflow.sign_explanation(late.pk, 1, by=staff_actor(Role.MANAGER))
    assert clock_of(late, "signature", "1").phase(moment.now) == phase


def explain(ticket: Ticket, by: Actor) -> None:
    workflow.submit_explanation(
        ticket.pk, 1, cause="人手不足", remedy="已加派", new_promise_at=None, by=by
    )
