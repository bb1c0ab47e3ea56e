"""The end of a case: resolved, closed, reopened, cancelled."""

from datetime import timedelta

import structlog
from django.utils.translation import gettext_lazy as _

from aftersales.accounts.actors import SYSTEM, Actor, ActorKind
from aftersales.common import errors
from tickets import sla
from tickets.clocks import Case
from tickets.models import Clock, Explanation, Message, Ticket
from tickets.models.clock import CONFIRMATION, RESOLUTION, RESPONSE, TICKET_LEVEL
from tickets.workflow.handling import Words, end_grant, give_grant, write_message
from tickets.workflow.steps import edited, step

log = structlog.get_logger()


def resolve_ticket(
    ticket_id: int, *, resolution: str, by: Actor, version: int | None = None
) -> Ticket:
    """The customer is told the solution: it ends every ticket-level promise.

    The resolution text is a message to the customer, so it meets an open response, too.
    """
    with step(ticket_id, "resolve", by=by, version=version) as case:
        case.resume()
        message, _is_new = write_message(case, Message.Kind.REPLY, Words(resolution), by=by)
        for kind in TICKET_LEVEL:
            case.meet(kind)
        case.promise(CONFIRMATION, cycle=case.ticket.cycle)
        case.change(resolution=message.body)
        case.record("ticket.resolved", by=by, message=str(message.public_id))
        edited(case)
    return case.ticket


def close_ticket(
    ticket_id: int, *, by: Actor, reason: str = "", version: int | None = None
) -> Ticket:
    """File the case. Raises Conflict while a hold stands or an explanation is unsigned.

    Ends every grant on the customer's data.
    """
    with step(ticket_id, "close", by=by, version=version) as case:
        _refuse_while_held(case)
        unsigned = [
            explanation.number
            for explanation in case.ticket.explanations.order_by("number")
            if explanation.is_open
        ]
        if unsigned:
            raise errors.Conflict(
                _("An overdue explanation is not signed yet; the case stays open until it is."),
                code="explanation_unsigned",
                explanations=unsigned,
            )
        case.cancel(CONFIRMATION)
        end_grant(case, reason="closed")
        case.record("ticket.closed", by=by, reason=reason)
        edited(case)
    return case.ticket


def close_unanswered(limit: int = 200) -> int:
    """Close resolved cases to which the customer has not objected in the policy's time.

    Returns how many. One that is held or waits for a signature stays until that has ended; one
    that was reopened meanwhile is left alone.
    """
    unanswered = (
        Clock.objects.filter(kind=CONFIRMATION, state=sla.State.RUNNING, breached_at__isnull=False)
        .exclude(ticket__explanations__state__in=Explanation.OPEN)
        .exclude(ticket__holds__isnull=False)
        .order_by("pk")
    )
    closed = 0
    for ticket_id in unanswered.values_list("ticket", flat=True)[:limit]:
        try:
            close_ticket(ticket_id, by=SYSTEM, reason="unanswered")
            closed += 1
        except (errors.WrongState, errors.Conflict):
            continue
        except Exception:
            # The loop's edge: one broken case must not keep the others open.
            log.exception("close_unanswered_failed", ticket=ticket_id)
    return closed


def reopen_ticket(ticket_id: int, *, reason: str, by: Actor, version: int | None = None) -> Ticket:
    """It was not solved: a new cycle with full budgets for response and resolution.

    The verdicts of earlier cycles stay. A customer or shop may do so for the policy's days after
    closing; later it is a new case. Raises Conflict then.
    """
    with step(ticket_id, "reopen", by=by, version=version) as case:
        ticket = case.ticket
        days = int(case.policy.version.figures["reopen"]["days"])
        outside = by.kind in (ActorKind.CUSTOMER, ActorKind.SHOP)
        if outside and ticket.closed_at and ticket.closed_at + timedelta(days=days) < case.now:
            raise errors.Conflict(
                _("This case was closed too long ago. Please open a new one and name this number."),
                code="reopen_too_late",
                days=days,
            )
        case.cancel(CONFIRMATION)
        case.change(cycle=ticket.cycle + 1, resolution="")
        for kind in (RESPONSE, RESOLUTION):
            case.promise(kind, cycle=ticket.cycle)
        if ticket.closed_at and ticket.owner is not None:
            give_grant(case, ticket.owner)
        case.record("ticket.reopened", by=by, reason=reason, cycle=ticket.cycle)
        edited(case)
    return case.ticket


def cancel_ticket(ticket_id: int, *, reason: str, by: Actor, version: int | None = None) -> Ticket:
    """The case falls away: every promise without verdict, every unsigned explanation with it.

    Raises Conflict while a hold stands.
    """
    with step(ticket_id, "cancel", by=by, version=version) as case:
        _refuse_while_held(case)
        case.resume(None)
        for explanation in case.ticket.explanations.order_by("number"):
            case.withdraw_explanation(explanation)
        for clock in list(case.clocks):
            case.cancel(clock.kind, clock.subject)
        end_grant(case, reason="cancelled")
        case.record("ticket.cancelled", by=by, reason=reason)
        edited(case)
    return case.ticket


def _refuse_while_held(case: Case) -> None:
    holds = list(case.ticket.holds.order_by("pk").values_list("key", flat=True))
    if holds:
        raise errors.Conflict(
            _("Goods or money are still moving in this case; finish that first."),
            code="held",
            holds=holds,
        )
