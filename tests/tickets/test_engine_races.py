"""Two connections at the same case at the same moment: one verdict, one event, one explanation."""

import pytest

from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role
from aftersales.common import errors
from aftersales.messaging.models import Outbox
from tests.factories import make_ticket, make_user, staff_actor
from tests.tickets.conftest import Moment, at
from tests.tickets.promises import clock_of, take
from tests.tickets.races import Runner, together, wait_until_blocked
from tickets import clocks, workflow
from tickets.models import Event, Explanation, Ticket
from tickets.sla import Phase

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner(moment: Moment) -> Actor:
    return staff_actor(Role.SUPERVISOR)


@pytest.fixture
def ticket(owner: Actor) -> Ticket:
    """Urgent: the first response is due within 30 minutes."""
    ticket = make_ticket(urgency="urgent", by=owner)
    take(ticket, owner)
    return ticket


def assert_all_went_well(outcomes: list[object]) -> None:
    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []


def assert_told_once(ticket: Ticket, kind: str) -> None:
    """One event and one outbox row for each stage reached, one explanation for the breach."""
    stages = Event.objects.filter(ticket=ticket, clock__isnull=False, params__kind=kind)
    keys = list(stages.exclude(stage="").values_list("stage", "due_at"))
    assert len(keys) == len(set(keys))
    for event in ticket.events.all():
        assert Outbox.objects.filter(dedupe_key=f"event:{event.pk}").count() == 1
    clock = clock_of(ticket, kind)
    broken = clock.breached_at is not None
    assert stages.filter(name="clock.breached").count() == broken
    asked = Explanation.objects.filter(clock=clock).exclude(state="withdrawn").count()
    assert asked == (broken and clock.target.explain)


def test_an_answer_and_the_sweep_at_the_deadline_agree_that_it_was_in_time(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    moment("2026-11-20 10:30:00")
    assert_all_went_well(together(lambda: reply(ticket, owner), clocks.sweep))
    assert clock_of(ticket, "response").phase(moment.now) == Phase.MET
    assert_told_once(ticket, "response")


def test_an_answer_and_the_sweep_after_the_deadline_agree_that_it_was_late(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    moment("2026-11-20 10:30:01")
    assert_all_went_well(together(lambda: reply(ticket, owner), clocks.sweep, clocks.sweep))
    clock = clock_of(ticket, "response")
    assert clock.phase(moment.now) == Phase.MET_LATE
    assert clock.breached_at == at("2026-11-20 10:30")
    assert_told_once(ticket, "response")


def test_an_answer_that_waited_for_the_sweep_does_not_undo_its_verdict(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    moment("2026-11-20 10:30:01")
    with clocks.open_case(ticket.pk):
        answer = Runner(reply, ticket, owner)
        wait_until_blocked(answer)
    assert_all_went_well([answer.outcome()])
    assert clock_of(ticket, "response").breached_at == at("2026-11-20 10:30")
    assert_told_once(ticket, "response")


def test_four_sweeps_at_once_flag_everything_once(moment: Moment, owner: Actor) -> None:
    """And none settles what another has in hand; the constraints behind it have nothing to do."""
    tickets = [make_ticket(urgency="urgent", by=owner) for _ in range(12)]
    for time in ("10:11", "10:31"):
        moment(f"2026-11-20 {time}")
        assert sum(together(*[clocks.sweep] * 4)) == 12
    for ticket in tickets:
        assert_told_once(ticket, "response")
        assert_told_once(ticket, "acknowledge")


def test_of_two_who_assign_what_both_have_read_one_is_told_to_read_again(
    moment: Moment, owner: Actor
) -> None:
    ticket = make_ticket(by=owner)
    heirs = [make_user(), make_user()]
    outcomes = together(
        *[
            lambda heir=heir: workflow.assign_ticket(
                ticket.pk, owner_id=heir.pk, by=owner, version=1
            )
            for heir in heirs
        ]
    )
    stale = [outcome for outcome in outcomes if isinstance(outcome, errors.Stale)]
    (won,) = [outcome for outcome in outcomes if isinstance(outcome, Ticket)]
    ticket.refresh_from_db()
    assert [error.extra["version"] for error in stale] == [2]
    assert (ticket.owner, ticket.version) == (won.owner, 2)
    assert ticket.events.filter(name="ticket.assigned").count() == 1


def test_the_first_decision_and_the_sweep_leave_either_a_breach_or_none(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    moment("2026-11-20 10:40")
    outcomes = together(
        lambda: workflow.grade_ticket(ticket.pk, level="general", reason="只是咨询", by=owner),
        clocks.sweep,
    )
    assert_all_went_well(outcomes)
    clock = clock_of(ticket, "response")
    assert (clock.breached_at, clock.due_at) == (None, at("2026-11-20 15:30"))
    assert list(ticket.explanations.values_list("state", flat=True)) == ["withdrawn"]
    assert ticket.events.filter(name="clock.breached", params__kind="response").count() == 1
    assert ticket.events.filter(name="clock.breach_withdrawn").count() == 1


def test_a_wait_and_the_sweep_after_the_deadline_leave_the_breach(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    reply(ticket, owner)
    moment("2026-11-21 10:00:01")
    outcomes = together(
        lambda: workflow.wait_ticket(ticket.pk, reason="customer", by=owner),
        clocks.sweep,
        clocks.sweep,
    )
    assert_all_went_well(outcomes)
    clock = clock_of(ticket, "resolution")
    assert (clock.phase(moment.now), clock.breached_at) == (
        Phase.OVERDUE,
        at("2026-11-21 10:00"),
    )
    assert_told_once(ticket, "resolution")


def test_the_end_of_the_longest_wait_is_told_once(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    reply(ticket, owner)
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    moment("2026-11-27 10:00:01")
    assert sum(together(clocks.sweep, clocks.sweep, clocks.sweep)) == 1
    assert ticket.events.filter(name="ticket.resumed").count() == 1
    ticket.refresh_from_db()
    assert ticket.status == "in_progress"


def test_resolving_and_the_sweep_after_the_deadline_leave_the_breach(
    moment: Moment, ticket: Ticket, owner: Actor
) -> None:
    reply(ticket, owner)
    moment("2026-11-21 10:00:01")
    outcomes = together(
        lambda: workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=owner),
        clocks.sweep,
    )
    assert_all_went_well(outcomes)
    assert clock_of(ticket, "resolution").phase(moment.now) == Phase.MET_LATE
    assert_told_once(ticket, "resolution")


def reply(ticket: Ticket, by: Actor) -> None:
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=by)
