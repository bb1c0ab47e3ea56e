"""Who sees the customer's data in clear: whoever owns the case, for as long as they do."""

import pytest

from aftersales.accounts import actors
from aftersales.accounts.models import Role, User
from aftersales.common import errors
from aftersales.customers import grants
from tests.factories import make_ticket, make_user, staff_actor
from tests.tickets.conftest import Moment
from tickets import workflow
from tickets.models import Ticket

pytestmark = pytest.mark.django_db(transaction=True)  # a look commits by itself


@pytest.fixture
def ticket(moment: Moment) -> Ticket:
    return make_ticket()


def give(ticket: Ticket, owner: User) -> None:
    workflow.assign_ticket(ticket.pk, owner_id=owner.pk, by=staff_actor(Role.SUPERVISOR))


def sees(user: User, ticket: Ticket) -> bool:
    assert ticket.contact_id is not None
    try:
        values = grants.reveal(
            contact_id=ticket.contact_id,
            fields=["phone"],
            case_ref=str(ticket.public_id),
            purpose="回电",
            by=actors.staff(user),
        )
    except errors.NotAllowed:
        return False
    return values == {"phone": "13800138000"}


def test_the_owner_sees_it_and_nobody_else(ticket: Ticket) -> None:
    owner, colleague = make_user(), make_user()
    assert not sees(owner, ticket)
    give(ticket, owner)
    assert (sees(owner, ticket), sees(colleague, ticket)) == (True, False)


def test_whoever_gives_a_case_away_sees_it_no_more(ticket: Ticket) -> None:
    former, owner = make_user(), make_user()
    give(ticket, former)
    give(ticket, owner)
    assert (sees(former, ticket), sees(owner, ticket)) == (False, True)


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_nobody_sees_it_once_the_case_has_ended(ticket: Ticket, end: str) -> None:
    owner, supervisor = make_user(), staff_actor(Role.SUPERVISOR)
    give(ticket, owner)
    if end == "cancel":
        workflow.cancel_ticket(ticket.pk, reason="误报", by=supervisor)
    else:
        workflow.resolve_ticket(ticket.pk, resolution="已更换", by=supervisor)
        assert sees(owner, ticket)
        workflow.close_ticket(ticket.pk, by=supervisor)
    assert not sees(owner, ticket)
