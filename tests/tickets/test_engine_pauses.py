"""Waiting: what stands still, until when, and what a reader sees though no worker was there."""

from datetime import timedelta

import pytest

from aftersales.accounts.actors import Actor
from tests.factories import make_ticket, staff_actor
from tests.tickets.conftest import Moment, at
from tests.tickets.promises import add_target, clock_of, take, waiting_for
from tickets import clocks, workflow
from tickets.models import PolicyVersion, Ticket
from tickets.sla import Phase


@pytest.fixture
def owner(moment: Moment) -> Actor:
    return staff_actor()


@pytest.fixture
def ticket(owner: Actor) -> Ticket:
    """Important, received on Friday at 10:00: to be solved within 72 hours, on Monday at 10:00."""
    ticket = make_ticket(urgency="important", by=owner)
    take(ticket, owner)
    workflow.reply_to_customer(ticket.pk, workflow.Words("请提供照片"), by=owner)
    return ticket


def test_while_it_waits_the_deadline_is_the_latest_possible(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    clock = clock_of(ticket, "resolution")
    assert clock.resumes_at == at("2026-11-27 10:00")
    assert clock.due_at == at("2026-11-30 10:00")
    moment.later(hours=3)
    workflow.resume_ticket(ticket.pk, by=owner)
    assert clock_of(ticket, "resolution").due_at == at("2026-11-23 13:00")


@pytest.mark.parametrize(
    ("now", "phase"),
    [
        ("2026-11-27 10:00:00", Phase.PAUSED),
        ("2026-11-27 10:00:01", Phase.ON_TIME),
        ("2026-11-30 10:00:00", Phase.AT_RISK),
        ("2026-11-30 10:00:01", Phase.OVERDUE),
    ],
)
def test_a_wait_past_its_limit_is_seen_to_be_over_though_nobody_swept(
    ticket: Ticket, owner: Actor, now: str, phase: Phase
) -> None:
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    assert clock_of(ticket, "resolution").phase(at(now)) == phase


def test_waiting_from_the_very_deadline_on_stops_nothing(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    moment("2026-11-23 10:00:00")
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    clock = clock_of(ticket, "resolution")
    assert (clock.state, clock.breached_at) == ("running", None)
    moment.later(seconds=1)
    assert clocks.sweep() == 1
    assert clock_of(ticket, "resolution").breached_at == at("2026-11-23 10:00")


def test_waiting_from_a_moment_before_leaves_that_moment(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    moment("2026-11-23 09:59:59")
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    moment("2026-11-24 12:00:00")
    workflow.resume_ticket(ticket.pk, by=owner)
    assert clock_of(ticket, "resolution").due_at == at("2026-11-24 12:00:01")


def test_what_happened_in_an_outage_is_told_in_its_order(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    """The wait ended, the deadline came and went, and only then somebody looked."""
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    moment("2026-12-05 10:00")
    last = ticket.events.latest("pk").pk
    clocks.sweep()
    told = ticket.events.filter(pk__gt=last, params__kind__isnull=True).order_by("pk")
    assert [(event.name, event.at) for event in told] == [
        ("ticket.resumed", at("2026-11-27 10:00"))
    ]
    stages = ticket.events.filter(pk__gt=last, params__kind="resolution").order_by("pk")
    assert [(event.stage, event.at, event.params["superseded"]) for event in stages] == [
        ("50%", at("2026-11-28 22:00"), True),
        ("80%", at("2026-11-29 19:36"), True),
        ("0", at("2026-11-30 10:00"), True),
        ("+50%", at("2026-12-01 22:00"), False),
    ]
    moments = list(ticket.events.order_by("pk").values_list("at", flat=True))
    assert moments == sorted(moments)


def test_a_stage_that_was_reached_before_the_wait_is_not_told_again_after_it(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    moment("2026-11-22 00:00")
    clocks.sweep()
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    moment("2026-11-24 00:00")
    workflow.resume_ticket(ticket.pk, by=owner)
    assert clock_of(ticket, "resolution").stage_keys == ["80%", "0", "+50%"]
    moment("2026-11-25 09:59:59")
    clocks.sweep()
    stages = ticket.events.filter(params__kind="resolution", clock__isnull=False).order_by("pk")
    assert list(stages.values_list("stage", flat=True)) == ["50%", "80%"]


def test_while_it_waits_the_case_wakes_for_the_limit_and_has_no_deadline(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    ticket.refresh_from_db()
    assert (ticket.wake_at, ticket.next_due_at) == (at("2026-11-27 10:00"), None)
    moment.later(hours=1)
    workflow.resume_ticket(ticket.pk, by=owner)
    ticket.refresh_from_db()
    assert ticket.wake_at == at("2026-11-21 23:00")
    assert ticket.next_due_at == at("2026-11-23 11:00")


def test_the_wait_of_a_step_stops_that_step_alone(
    moment: Moment, maker: PolicyVersion, ticket: Ticket
) -> None:
    add_target(maker, "inspection")
    with clocks.open_case(ticket.pk) as case:
        case.promise("inspection", subject="R1")
        case.promise("inspection", subject="R2")
        case.pause(waiting_for("inspection"), subject="R1")
    assert clock_of(ticket, "inspection", "R1").state == "paused"
    assert clock_of(ticket, "inspection", "R2").state == "running"


def test_a_promise_stands_still_until_the_last_of_two_waits_is_over(
    moment: Moment, maker: PolicyVersion, ticket: Ticket
) -> None:
    add_target(maker, "inspection")
    with clocks.open_case(ticket.pk) as case:
        case.promise("inspection", subject="R1")
        case.pause(waiting_for("inspection", days=2))
        case.pause(waiting_for("inspection", days=3), subject="R1")
    assert clock_of(ticket, "inspection", "R1").resumes_at == at("2026-11-23 10:00")
    moment("2026-11-22 10:00:01")
    clocks.sweep()
    assert clock_of(ticket, "inspection", "R1").state == "paused"
    moment("2026-11-23 10:00:01")
    clocks.sweep()
    clock = clock_of(ticket, "inspection", "R1")
    assert (clock.state, clock.due_at) == ("running", at("2026-11-23 11:00"))


def test_a_promise_made_while_its_kind_waits_begins_to_run_when_that_ends(
    moment: Moment, maker: PolicyVersion, ticket: Ticket
) -> None:
    add_target(maker, "inspection")
    with clocks.open_case(ticket.pk) as case:
        case.pause(waiting_for("inspection"))
    moment.later(hours=5)
    with clocks.open_case(ticket.pk) as case:
        case.promise("inspection", subject="R1")
    assert clock_of(ticket, "inspection", "R1").phase(moment.now) == Phase.PAUSED
    moment.later(hours=5)
    with clocks.open_case(ticket.pk) as case:
        case.resume()
    assert clock_of(ticket, "inspection", "R1").due_at == moment.now + timedelta(hours=1)


def test_a_promise_kept_while_it_stands_still_is_kept_in_time(
    moment: Moment, maker: PolicyVersion, ticket: Ticket
) -> None:
    add_target(maker, "inspection")
    with clocks.open_case(ticket.pk) as case:
        case.promise("inspection", subject="R1")
    moment.later(minutes=40)
    with clocks.open_case(ticket.pk) as case:
        case.pause(waiting_for("inspection"), subject="R1")
    moment.later(hours=3)
    with clocks.open_case(ticket.pk) as case:
        case.meet("inspection", "R1")
    clock = clock_of(ticket, "inspection", "R1")
    assert clock.phase(moment.now) == Phase.MET
    assert clock.due_at == moment.now + timedelta(minutes=20)


def test_a_term_of_the_law_never_stands_still(
    moment: Moment, maker: PolicyVersion, ticket: Ticket
) -> None:
    add_target(maker, "refund", legal=True)
    with clocks.open_case(ticket.pk) as case:
        case.promise("refund", subject="R1")
        case.pause(waiting_for("refund"))
    assert clock_of(ticket, "refund", "R1").state == "running"


def test_a_deed_in_time_takes_back_the_breach_that_its_late_record_allowed(
    moment: Moment, maker: PolicyVersion, ticket: Ticket
) -> None:
    """The parcel was there at 10:50, its carrier tells us at 11:10."""
    add_target(maker, "inspection")
    with clocks.open_case(ticket.pk) as case:
        case.promise("inspection", subject="R1")
    moment("2026-11-20 11:10")
    clocks.sweep()
    assert clock_of(ticket, "inspection", "R1").breached_at == at("2026-11-20 11:00")
    with clocks.open_case(ticket.pk) as case:
        case.meet("inspection", "R1", at=at("2026-11-20 10:50"))
    clock = clock_of(ticket, "inspection", "R1")
    assert (clock.phase(moment.now), clock.breached_at) == (Phase.MET, None)
    assert clock.explanations.get().state == "withdrawn"
