"""The one door: what ``open_case`` locks, reads, refuses and leaves behind."""

import pytest
from django.db import transaction

from aftersales.accounts.models import Role
from aftersales.common import errors
from tests.factories import make_team, make_ticket, make_user, staff_actor
from tests.tickets.conftest import Moment
from tests.tickets.promises import add_target, clock_of, take
from tests.tickets.races import Runner, wait_until_blocked
from tickets import clocks, workflow
from tickets.models import PolicyVersion, Ticket


@pytest.mark.django_db(transaction=True)
def test_whoever_waited_for_the_lock_sees_the_owner_and_team_of_who_held_it(
    moment: Moment,
) -> None:
    """A join in the locking query would be judged by rows of before the wait: no owner, no case."""
    ticket, team = make_ticket(), make_team()
    owner = make_user(team=team)

    def look() -> tuple[object, object]:
        with clocks.open_case(ticket.pk) as case:
            return case.ticket.owner, case.ticket.team

    with transaction.atomic():
        Ticket.objects.filter(pk=ticket.pk).update(owner=owner, team=team)
        second = Runner(look)
        wait_until_blocked(second)
    assert second.outcome() == (owner, team)


def test_a_case_in_hand_is_not_opened_again(moment: Moment) -> None:
    """The outer copy would write its old clocks over what the inner one did."""
    ticket = make_ticket()
    with (
        clocks.open_case(ticket.pk),
        pytest.raises(RuntimeError, match="in hand"),
        clocks.open_case(ticket.pk),
    ):
        pass
    with clocks.open_case(ticket.pk):
        pass


def test_two_cases_are_opened_by_ascending_id_only(moment: Moment) -> None:
    """Two people who merge the same two cases would else wait for each other for ever."""
    first, second = make_ticket(), make_ticket()
    with clocks.open_case(first.pk), clocks.open_case(second.pk):
        pass
    with (
        clocks.open_case(second.pk),
        pytest.raises(RuntimeError, match="before"),
        clocks.open_case(first.pk),
    ):
        pass


def test_what_is_refused_changes_nothing_not_even_what_was_settled(moment: Moment) -> None:
    ticket = make_ticket()
    moment("2026-11-20 15:31")
    with pytest.raises(ZeroDivisionError), clocks.open_case(ticket.pk):
        raise ZeroDivisionError
    assert not ticket.clocks.filter(breached_at__isnull=False).exists()
    assert clocks.sweep() == 1


# --- what opening the case finds out counts for what is done then ---------------------------------


def test_cancelling_takes_back_an_explanation_that_it_found_due_itself(moment: Moment) -> None:
    ticket = make_ticket()
    moment("2026-11-20 15:31")
    workflow.cancel_ticket(ticket.pk, reason="重复", by=staff_actor(Role.SUPERVISOR))
    assert ticket.explanations.get().state == "withdrawn"
    assert not ticket.clocks.live().exists()


def test_the_first_decision_takes_back_an_explanation_that_it_found_due_itself(
    moment: Moment,
) -> None:
    ticket = make_ticket(urgency="urgent")
    moment("2026-11-20 10:40")
    workflow.grade_ticket(
        ticket.pk, level="general", reason="只是咨询", by=staff_actor(Role.SUPERVISOR)
    )
    assert ticket.explanations.get().state == "withdrawn"
    assert clock_of(ticket, "explanation", "1").state == "cancelled"


def test_closing_is_refused_for_an_explanation_that_it_found_due_itself(
    moment: Moment, maker: PolicyVersion
) -> None:
    add_target(maker, "inspection")
    owner = staff_actor()
    ticket = make_ticket(by=owner)
    take(ticket, owner)
    workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=owner)
    with clocks.open_case(ticket.pk) as case:
        case.promise("inspection", subject="R1")
    moment.later(hours=1, seconds=1)
    with pytest.raises(errors.Conflict) as refusal:
        workflow.close_ticket(ticket.pk, by=owner)
    assert refusal.value.code == "explanation_unsigned"
