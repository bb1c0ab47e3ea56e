"""The overdue explanation: who writes it, who signs it, and what it keeps open."""

from collections.abc import Callable

import pytest

from aftersales.accounts import actors
from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role
from aftersales.common import errors
from tests.factories import make_shop_client, make_team, make_ticket, staff_actor
from tests.tickets.conftest import Moment, at
from tests.tickets.promises import clock_of, take
from tickets import clocks, workflow
from tickets.models import Explanation, Ticket


@pytest.fixture
def owner(moment: Moment) -> Actor:
    return staff_actor()


@pytest.fixture
def manager(moment: Moment) -> Actor:
    return staff_actor(Role.MANAGER, team=None)


@pytest.fixture
def late(moment: Moment, owner: Actor) -> Ticket:
    """An urgent case whose first response was due a minute ago."""
    ticket = make_ticket(urgency="urgent", by=owner)
    take(ticket, owner)
    moment("2026-11-20 10:31")
    clocks.sweep()
    return ticket


def write(ticket: Ticket, by: Actor, cause: str = "人手不足") -> Explanation:
    return workflow.submit_explanation(
        ticket.pk, 1, cause=cause, remedy="已加派", new_promise_at=at("2026-11-20 12:00"), by=by
    )


def names(ticket: Ticket) -> list[str]:
    events = ticket.events.filter(name__startswith="explanation.").order_by("pk")
    return list(events.values_list("name", flat=True))


def test_the_owner_writes_it_and_a_manager_signs_it(
    late: Ticket, owner: Actor, manager: Actor, moment: Moment
) -> None:
    written = write(late, owner)
    assert (written.state, written.author, written.submitted_at) == (
        "submitted",
        owner.user,
        moment.now,
    )
    moment.later(hours=1)
    signed = workflow.sign_explanation(late.pk, 1, by=manager)
    assert (signed.state, signed.signer, signed.signed_at) == ("signed", manager.user, moment.now)
    assert names(late) == ["explanation.submitted", "explanation.signed"]
    assert [clock_of(late, kind, "1").state for kind in ("explanation", "signature")] == [
        "met",
        "met",
    ]


def test_sent_back_it_is_written_again_on_a_new_clock(
    late: Ticket, owner: Actor, manager: Actor, moment: Moment
) -> None:
    write(late, owner)
    moment("2026-11-23 09:00")
    returned = workflow.return_explanation(late.pk, 1, reason="原因不清", by=manager)
    assert (returned.state, returned.return_reason, returned.attempt) == (
        "returned",
        "原因不清",
        2,
    )
    assert clock_of(late, "explanation", "1", cycle=2).due_at == at("2026-11-24 17:30")
    write(late, owner, "备件缺货")
    assert clock_of(late, "signature", "1", cycle=2).state == "running"
    assert workflow.sign_explanation(late.pk, 1, by=manager).cause == "备件缺货"
    assert names(late) == [
        "explanation.submitted",
        "explanation.returned",
        "explanation.submitted",
        "explanation.signed",
    ]
    assert not late.clocks.live().filter(subject="1").exists()


def test_personal_data_in_it_is_masked(late: Ticket, owner: Actor) -> None:
    assert "13812345678" not in write(late, owner, "客户 13812345678 未接电话").cause


@pytest.mark.parametrize("role", [Role.AGENT, Role.ENGINEER, Role.SUPERVISOR, Role.MANAGER])
def test_nobody_writes_it_for_the_owner(late: Ticket, role: str) -> None:
    with pytest.raises(errors.NotAllowed):
        write(late, staff_actor(role))


def test_of_a_case_without_owner_the_teams_supervisor_writes_it(moment: Moment) -> None:
    ticket = make_ticket(urgency="urgent")
    moment("2026-11-20 10:31")
    clocks.sweep()
    for stranger in (staff_actor(), staff_actor(Role.SUPERVISOR, team=make_team())):
        with pytest.raises(errors.NotAllowed):
            write(ticket, stranger)
    assert write(ticket, staff_actor(Role.SUPERVISOR)).state == "submitted"


def test_a_new_owner_writes_what_the_former_one_left(
    late: Ticket, owner: Actor, manager: Actor
) -> None:
    heir = staff_actor()
    assert heir.user is not None
    workflow.assign_ticket(late.pk, owner_id=heir.user.pk, by=manager)
    with pytest.raises(errors.NotAllowed):
        write(late, owner)
    assert write(late, heir).author == heir.user


@pytest.mark.parametrize("role", [Role.AGENT, Role.SUPERVISOR, Role.ADMINISTRATOR])
def test_only_a_manager_signs(late: Ticket, owner: Actor, role: str) -> None:
    write(late, owner)
    decisions: list[Callable[[Actor], Explanation]] = [
        lambda by: workflow.sign_explanation(late.pk, 1, by=by),
        lambda by: workflow.return_explanation(late.pk, 1, reason="不清", by=by),
    ]
    for decide in decisions:
        with pytest.raises((errors.NotAllowed, errors.NotVisible)):
            decide(staff_actor(role))


def test_a_manager_does_not_sign_what_they_wrote(moment: Moment) -> None:
    both = staff_actor(Role.SUPERVISOR, Role.MANAGER)
    ticket = make_ticket(urgency="urgent", by=both)
    take(ticket, both)
    moment("2026-11-20 10:31")
    clocks.sweep()
    write(ticket, both)
    with pytest.raises(errors.NotAllowed):
        workflow.sign_explanation(ticket.pk, 1, by=both)
    with pytest.raises(errors.NotAllowed):
        workflow.return_explanation(ticket.pk, 1, reason="不清", by=both)


def test_each_step_is_taken_once_and_in_order(late: Ticket, owner: Actor, manager: Actor) -> None:
    with pytest.raises(errors.WrongState) as refused:
        workflow.sign_explanation(late.pk, 1, by=manager)
    assert refused.value.extra["allowed_events"] == ["submit"]
    write(late, owner)
    with pytest.raises(errors.WrongState) as refused:
        write(late, owner)
    assert refused.value.extra["allowed_events"] == ["return", "sign"]
    workflow.sign_explanation(late.pk, 1, by=manager)
    steps: list[Callable[[], Explanation]] = [
        lambda: write(late, owner),
        lambda: workflow.sign_explanation(late.pk, 1, by=manager),
        lambda: workflow.return_explanation(late.pk, 1, reason="不清", by=manager),
    ]
    for step in steps:
        with pytest.raises(errors.WrongState) as refused:
            step()
        assert refused.value.extra["allowed_events"] == []


def test_nobody_outside_knows_of_it(late: Ticket) -> None:
    assert late.contact_id is not None
    for outsider in (
        actors.customer(late.contact_id),
        actors.shop(make_shop_client()),
        staff_actor(Role.PROVIDER, team=None),
        staff_actor(Role.DEPARTMENT),
    ):
        with pytest.raises(errors.NotVisible):
            write(late, outsider)


def test_an_explanation_that_is_not_there_is_not_found(late: Ticket, owner: Actor) -> None:
    with pytest.raises(errors.NotVisible):
        workflow.submit_explanation(
            late.pk, 2, cause="-", remedy="-", new_promise_at=None, by=owner
        )


def test_each_broken_promise_has_its_own(late: Ticket, owner: Actor, moment: Moment) -> None:
    moment("2026-11-21 10:01")
    clocks.sweep()
    explained = late.explanations.order_by("number").values_list("number", "clock__kind")
    assert list(explained) == [(1, "response"), (2, "resolution")]


def test_a_late_explanation_asks_for_no_explanation(late: Ticket, moment: Moment) -> None:
    moment("2026-12-31 10:00")
    clocks.sweep()
    assert clock_of(late, "explanation", "1").breached_at == at("2026-11-23 17:30")
    assert set(late.explanations.values_list("clock__kind", flat=True)) == {
        "response",
        "resolution",
    }


def test_after_a_long_outage_the_explanation_itself_is_found_late_at_once(moment: Moment) -> None:
    ticket = make_ticket(urgency="urgent")
    moment("2026-12-31 10:00")
    assert (clocks.sweep(), clocks.sweep()) == (1, 0)
    overdue = ticket.clocks.filter(kind="explanation").order_by("subject")
    assert [clock.breached_at for clock in overdue] == [
        at("2026-11-23 17:30"),
        at("2026-11-23 17:30"),
    ]
