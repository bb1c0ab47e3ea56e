"""What letters to the customer say: the values that each template is rendered with.

Called when a message is sent, so it tells the case as it is by then; a letter that has nothing to
say any more is skipped.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aftersales.common import dbtime
from aftersales.messaging.topics import Skipped
from tickets import clocks, states
from tickets.models import Clock, Message, Ticket
from tickets.models.clock import ACKNOWLEDGE, CONFIRMATION, RESPONSE

Params = Mapping[str, Any]
Values = dict[str, Any]


def case(params: Params) -> Values:
    """Number and owner, never a word of whoever reported it. Raises Skipped if the case is gone."""
    return _values(_ticket(params))


def received(params: Params) -> Values:
    """Until when a member of staff confirms, if that is still to come."""
    ticket = _ticket(params)
    clock = _live(ticket, ACKNOWLEDGE)
    ahead = clock is not None and clock.due_at > dbtime.database_now()
    return _values(ticket) | {"confirmed_by": clock.due_at if clock and ahead else None}


def assigned(params: Params) -> Values:
    """Within what handling starts: the first response that is promised for the case's level."""
    ticket = _ticket(params)
    clock = _live(ticket, RESPONSE)
    promised: Values = {"within": None, "answered_by": None, "late": False}
    if clock is not None:
        late = clock.due_at <= dbtime.database_now()
        budgets = clock.target.parsed_budgets
        promised = {
            # Of several budgets the earliest counts: then only the moment is told.
            "within": budgets[0] if len(budgets) == 1 and not late else None,
            "answered_by": None if late else clock.due_at,
            "late": late,
        }
    return _values(ticket) | promised | {"reassigned": params["reassigned"]}


def said(params: Params) -> Values:
    """What a member of staff wrote, and who. Raises Skipped if the message is gone."""
    message = (
        Message.objects.select_related("author")
        .filter(public_id=params["message"], kind=Message.Kind.REPLY)
        .first()
    )
    if message is None:
        raise Skipped("MessageGone")
    return _values(_ticket(params)) | {"text": message.body, "author": message.author}


def resolved(params: Params) -> Values:
    """The solution, and until when we wait for an objection."""
    values = said(params)
    clock = _live(_ticket(params), CONFIRMATION)
    return values | {"objections_until": clock.due_at if clock else None}


def waiting(params: Params) -> Values:
    """Until when we wait. Raises Skipped if the wait is over."""
    ticket = _ticket(params)
    pause = ticket.pauses.filter(ended_at__isnull=True, subject="").first()
    if ticket.status != states.Status.WAITING or pause is None:
        raise Skipped("WaitOver")
    return _values(ticket) | {"until": pause.limit_at}


def closed(params: Params) -> Values:
    """For how many days the customer may take the case up again."""
    ticket = _ticket(params)
    figures = clocks.policy(ticket.policy_id).version.figures
    return _values(ticket) | {"reopen_days": figures["reopen"]["days"]}


# The letters, each under templates/tickets/messages/, and what they are rendered with.
VALUES: dict[str, Callable[[Params], Values]] = {
    "received": received,
    "assigned": assigned,
    "replied": said,
    "waiting": waiting,
    "resolved": resolved,
    "closed": closed,
    "reopened": case,
    "cancelled": case,
}


def _ticket(params: Params) -> Ticket:
    ticket = Ticket.objects.select_related("owner").filter(pk=params["ticket"]).first()
    if ticket is None:
        raise Skipped("CaseGone")
    return ticket


def _values(ticket: Ticket) -> Values:
    return {"number": ticket.number, "owner": ticket.owner}


def _live(ticket: Ticket, kind: str) -> Clock | None:
    return ticket.clocks.live().select_related("target").filter(kind=kind).first()
