"""The end of a case that nobody contradicts, and of one about a person."""

import pytest

from aftersales.accounts import actors
from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role
from aftersales.common import errors
from tests.factories import make_ticket, make_user, staff_actor
from tests.tickets.conftest import Moment
from tickets import clocks, workflow
from tickets.models import Ticket


def resolved_ticket(owner: Actor) -> Ticket:
    assert owner.user is not None
    ticket = make_ticket(by=owner)
    workflow.assign_ticket(ticket.pk, owner_id=owner.user.pk, by=owner)
    return workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=owner)


def close_what_is_due() -> int:
    clocks.sweep()
    return workflow.close_unanswered()


def test_a_resolved_case_closes_by_itself_after_seven_days_of_silence(moment: Moment) -> None:
    ticket = resolved_ticket(staff_actor())
    moment("2026-11-28 00:00:00")
    assert close_what_is_due() == 0
    moment("2026-11-28 00:00:01")
    assert close_what_is_due() == 1
    ticket.refresh_from_db()
    assert ticket.status == "closed"
    assert ticket.events.get(name="ticket.closed").actor_kind == "system"
    assert close_what_is_due() == 0


def test_the_last_day_of_silence_moves_past_a_holiday(moment: Moment) -> None:
    moment("2026-09-24 10:00")  # the seventh day is 1 October
    resolved_ticket(staff_actor())
    moment("2026-10-08 23:59:59")
    assert close_what_is_due() == 0
    moment("2026-10-09 00:00:01")
    assert close_what_is_due() == 1


def test_a_case_that_was_reopened_stays_open(moment: Moment) -> None:
    owner = staff_actor()
    ticket = resolved_ticket(owner)
    assert ticket.contact_id is not None
    workflow.reopen_ticket(ticket.pk, reason="不亮", by=actors.customer(ticket.contact_id))
    moment("2026-12-01 10:00")
    assert close_what_is_due() == 0


def test_an_unsigned_explanation_keeps_it_from_closing(moment: Moment) -> None:
    owner = staff_actor()
    assert owner.user is not None
    ticket = make_ticket(urgency="urgent", by=owner)
    workflow.assign_ticket(ticket.pk, owner_id=owner.user.pk, by=owner)
    moment.later(hours=25)
    workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=owner)
    moment("2026-12-01 10:00")
    assert close_what_is_due() == 0
    manager = staff_actor(Role.MANAGER)
    for number in (1, 2):
        workflow.submit_explanation(
            ticket.pk, number, cause="缺货", remedy="调货", new_promise_at=None, by=owner
        )
        workflow.sign_explanation(ticket.pk, number, by=manager)
    assert close_what_is_due() == 1


def test_a_customer_reopens_for_seven_days_and_then_opens_a_new_case(moment: Moment) -> None:
    ticket = resolved_ticket(staff_actor())
    assert ticket.contact_id is not None
    moment("2026-11-28 00:00:01")
    close_what_is_due()
    customer = actors.customer(ticket.contact_id)
    moment("2026-12-05 00:00:02")
    with pytest.raises(errors.Conflict) as refused:
        workflow.reopen_ticket(ticket.pk, reason="又坏了", by=customer)
    assert refused.value.code == "reopen_too_late"
    moment("2026-12-05 00:00:01")
    assert workflow.reopen_ticket(ticket.pk, reason="又坏了", by=customer).status == "in_progress"


def test_the_person_complained_of_never_handles_the_complaint(moment: Moment) -> None:
    supervisor, person = staff_actor(Role.SUPERVISOR), make_user(Role.AGENT)
    ticket = make_ticket(kind="complaint", complaint_class="service")
    workflow.name_complained_of(ticket.pk, user_id=person.pk, by=supervisor)
    with pytest.raises(errors.Invalid) as refused:
        workflow.assign_ticket(ticket.pk, owner_id=person.pk, by=supervisor)
    assert refused.value.errors[0].code == "complained_of"
    with pytest.raises(errors.NotAllowed):
        workflow.assign_ticket(ticket.pk, owner_id=person.pk, by=actors.staff(person))


def test_whoever_owns_a_complaint_about_them_hands_it_over_first(moment: Moment) -> None:
    supervisor, owner = staff_actor(Role.SUPERVISOR), staff_actor()
    assert owner.user is not None
    ticket = make_ticket(kind="complaint", complaint_class="service", by=owner)
    workflow.assign_ticket(ticket.pk, owner_id=owner.user.pk, by=owner)
    with pytest.raises(errors.Conflict) as refused:
        workflow.name_complained_of(ticket.pk, user_id=owner.user.pk, by=supervisor)
    assert refused.value.code == "owns_the_case"
