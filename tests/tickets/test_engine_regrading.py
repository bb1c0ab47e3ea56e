"""Regrading: deadlines anew from their own start, verdicts kept, and what only regrading caused."""

from datetime import datetime, timedelta

import pytest

from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role
from aftersales.messaging.models import Outbox
from tests.factories import make_ticket, staff_actor
from tests.tickets.conftest import Moment, at
from tests.tickets.promises import add_target, clock_of, take
from tickets import clocks, workflow
from tickets.models import PolicyVersion, Ticket
from tickets.sla import Phase


@pytest.fixture
def supervisor(moment: Moment) -> Actor:
    return staff_actor(Role.SUPERVISOR)


def grade(ticket: Ticket, level: str, by: Actor) -> None:
    workflow.grade_ticket(ticket.pk, level=level, reason="重新评估", by=by)


def explain(ticket: Ticket, number: int, by: Actor) -> None:
    workflow.submit_explanation(
        ticket.pk, number, cause="人手不足", remedy="已加派", new_promise_at=None, by=by
    )


def breaches(ticket: Ticket, kind: str) -> list[tuple[datetime | None, str]]:
    """The breaches that were told, by deadline and cause."""
    events = ticket.events.filter(name="clock.breached", params__kind=kind).order_by("pk")
    told = set(Outbox.objects.values_list("payload__event", flat=True))
    assert told.issuperset(events.values_list("pk", flat=True))
    return [(event.due_at, event.params["cause"]) for event in events]


def test_a_level_that_was_due_before_the_wait_began_is_broken_though_the_case_waits(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(urgency="important", by=supervisor)
    take(ticket, supervisor)
    workflow.grade_ticket(ticket.pk, level="important", by=supervisor)
    moment("2026-11-21 12:00")
    workflow.wait_ticket(ticket.pk, reason="customer", by=supervisor)
    grade(ticket, "urgent", supervisor)
    clock = clock_of(ticket, "resolution")
    assert clock.phase(moment.now) == Phase.OVERDUE
    assert clock.breached_at == at("2026-11-21 10:00")
    assert clock.breach_cause == "regrade"


def test_a_level_that_was_not_due_when_the_wait_began_stands_still(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(urgency="urgent", by=supervisor)
    take(ticket, supervisor)
    moment("2026-11-21 12:00")
    workflow.wait_ticket(ticket.pk, reason="customer", by=supervisor)
    assert clock_of(ticket, "resolution").breached_at == at("2026-11-21 10:00")
    grade(ticket, "important", supervisor)
    clock = clock_of(ticket, "resolution")
    assert (clock.phase(moment.now), clock.breached_at) == (Phase.PAUSED, None)
    moment.later(hours=1)
    workflow.resume_ticket(ticket.pk, by=supervisor)
    assert clock_of(ticket, "resolution").due_at == at("2026-11-23 11:00")


def test_what_was_late_under_the_proposed_level_too_is_not_the_regradings_doing(
    moment: Moment, supervisor: Actor
) -> None:
    """And what was written about it need not be written again."""
    ticket = make_ticket(urgency="urgent", by=supervisor)
    take(ticket, supervisor)
    moment("2026-11-20 12:30")
    clocks.sweep()
    explain(ticket, 1, supervisor)
    grade(ticket, "important", supervisor)
    clock = clock_of(ticket, "response")
    assert clock.breached_at == at("2026-11-20 12:00")
    assert clock.breach_cause == ""
    assert breaches(ticket, "response") == [
        (at("2026-11-20 10:30"), ""),
        (at("2026-11-20 12:00"), ""),
    ]
    explanation = ticket.explanations.get()
    assert (explanation.state, explanation.missed_at) == ("submitted", clock.due_at)


def test_a_breach_that_was_withdrawn_and_comes_true_again_is_told_again(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(urgency="urgent")
    moment("2026-11-20 10:40")
    clocks.sweep()
    grade(ticket, "general", supervisor)
    moment("2026-11-20 11:00")
    grade(ticket, "urgent", supervisor)
    assert clock_of(ticket, "response").breached_at == at("2026-11-20 10:30")
    assert breaches(ticket, "response") == [
        (at("2026-11-20 10:30"), ""),
        (at("2026-11-20 10:30"), "regrade"),
    ]
    states = ticket.explanations.order_by("number").values_list("state", flat=True)
    assert list(states) == ["withdrawn", "due"]


def test_a_signed_explanation_of_a_withdrawn_breach_is_none_of_the_next_one(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(urgency="urgent", by=supervisor)
    take(ticket, supervisor)
    moment("2026-11-20 10:40")
    clocks.sweep()
    explain(ticket, 1, supervisor)
    workflow.sign_explanation(ticket.pk, 1, by=staff_actor(Role.MANAGER))
    grade(ticket, "general", supervisor)
    moment("2026-11-20 15:30:01")
    assert clocks.sweep() == 1
    explanations = ticket.explanations.order_by("number").values_list("state", "missed_at")
    assert list(explanations) == [
        ("signed", at("2026-11-20 10:30")),
        ("due", at("2026-11-20 15:30")),
    ]


def test_a_submitted_explanation_of_a_withdrawn_breach_waits_for_no_signature(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(urgency="urgent", by=supervisor)
    take(ticket, supervisor)
    moment("2026-11-20 10:40")
    clocks.sweep()
    explain(ticket, 1, supervisor)
    grade(ticket, "general", supervisor)
    assert ticket.explanations.get().state == "withdrawn"
    assert clock_of(ticket, "signature", "1").state == "cancelled"


def test_an_answer_that_was_late_under_the_proposed_level_only_was_in_time(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(urgency="urgent", by=supervisor)
    take(ticket, supervisor)
    moment("2026-11-20 11:30")
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=supervisor)
    assert clock_of(ticket, "response").phase(moment.now) == Phase.MET_LATE
    grade(ticket, "important", supervisor)
    clock = clock_of(ticket, "response")
    assert (clock.phase(moment.now), clock.due_at) == (Phase.MET, at("2026-11-20 12:00"))
    assert ticket.explanations.get().state == "withdrawn"


def test_an_answer_that_was_late_under_both_levels_keeps_its_verdict(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(urgency="urgent", by=supervisor)
    take(ticket, supervisor)
    moment("2026-11-20 12:30")
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=supervisor)
    grade(ticket, "important", supervisor)
    clock = clock_of(ticket, "response")
    assert (clock.phase(moment.now), clock.breached_at) == (
        Phase.MET_LATE,
        at("2026-11-20 10:30"),
    )
    assert ticket.explanations.get().state == "due"


def test_an_answer_in_time_stays_in_time_under_a_stricter_level(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(by=supervisor)
    take(ticket, supervisor)
    moment("2026-11-20 14:00")
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=supervisor)
    grade(ticket, "urgent", supervisor)
    assert clock_of(ticket, "response").phase(moment.now) == Phase.MET


def test_nobody_is_late_with_an_explanation_before_it_could_be_known_of(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(by=supervisor)
    moment("2026-11-25 10:00")
    clocks.sweep()
    grade(ticket, "urgent", supervisor)
    late = clock_of(ticket, "resolution")
    assert (late.breached_at, late.breach_cause) == (at("2026-11-21 10:00"), "regrade")
    number = ticket.explanations.get(clock=late).number
    assert clock_of(ticket, "explanation", str(number)).due_at == at("2026-11-26 17:30")


def test_stages_of_the_old_level_are_not_stages_of_the_new_one(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(urgency="urgent")
    moment("2026-11-20 10:25")
    clocks.sweep()
    assert clock_of(ticket, "response").stage == "80%"
    grade(ticket, "general", supervisor)
    clock = clock_of(ticket, "response")
    assert (clock.stage, clock.stage_keys) == ("", ["80%", "0", "+50%"])


@pytest.fixture
def silent_by_phone(maker: PolicyVersion) -> None:
    """A firm that promises no first response and no solution to general cases by phone."""
    for kind in ("response", "resolution"):
        add_target(maker, kind, level="general", channel="phone", budgets=[])


@pytest.mark.usefixtures("silent_by_phone")
def test_a_promise_that_only_the_new_level_makes_counts_from_receipt(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket()
    assert not ticket.clocks.filter(kind="response").exists()
    moment.later(minutes=10)
    grade(ticket, "urgent", supervisor)
    assert clock_of(ticket, "response").due_at == at("2026-11-20 10:30")


@pytest.mark.usefixtures("silent_by_phone")
def test_a_promise_that_one_decision_cancelled_comes_back_with_the_next(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(urgency="urgent")
    grade(ticket, "general", supervisor)
    assert clock_of(ticket, "response").state == "cancelled"
    grade(ticket, "urgent", supervisor)
    clock = clock_of(ticket, "response")
    assert (clock.state, clock.due_at) == ("running", at("2026-11-20 10:30"))
    moment("2026-11-20 10:30:01")
    clocks.sweep()
    assert clock_of(ticket, "response").breached_at == at("2026-11-20 10:30")


@pytest.mark.usefixtures("silent_by_phone")
def test_no_first_response_is_promised_to_whom_was_answered(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(by=supervisor)
    take(ticket, supervisor)
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=supervisor)
    moment.later(hours=1)
    grade(ticket, "urgent", supervisor)
    assert not ticket.clocks.filter(kind="response").exists()


@pytest.mark.usefixtures("silent_by_phone")
def test_in_a_later_cycle_new_promises_count_from_reopening(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(by=supervisor)
    take(ticket, supervisor)
    workflow.resolve_ticket(ticket.pk, resolution="已说明", by=supervisor)
    moment("2026-11-24 10:00")
    workflow.reopen_ticket(ticket.pk, reason="仍不亮", by=supervisor)
    moment.later(minutes=5)
    grade(ticket, "urgent", supervisor)
    assert clock_of(ticket, "response", cycle=2).due_at == at("2026-11-24 10:30")
    assert clock_of(ticket, "resolution", cycle=2).due_at == at("2026-11-25 10:00")


def test_a_running_explanation_is_not_matched_anew(moment: Moment, supervisor: Actor) -> None:
    ticket = make_ticket(urgency="urgent")
    workflow.grade_ticket(ticket.pk, level="urgent", by=supervisor)
    moment("2026-11-20 10:31")
    clocks.sweep()
    before = clock_of(ticket, "explanation", "1").due_at
    grade(ticket, "general", supervisor)
    assert clock_of(ticket, "explanation", "1").due_at == before


def test_the_next_deadline_and_the_wake_time_follow_the_level(
    moment: Moment, supervisor: Actor
) -> None:
    ticket = make_ticket(by=supervisor)
    take(ticket, supervisor)
    grade(ticket, "urgent", supervisor)
    ticket.refresh_from_db()
    assert ticket.next_due_at == moment.now + timedelta(minutes=30)
    assert ticket.wake_at == moment.now + timedelta(minutes=24)
