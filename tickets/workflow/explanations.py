"""The overdue explanation (manual E 4.1): the owner writes it, a manager signs or returns it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from aftersales.accounts.actors import Actor
from aftersales.common import errors
from aftersales.customers.freetext import masked
from tickets import clocks, permissions
from tickets.clocks import Case
from tickets.models import Explanation
from tickets.models.clock import EXPLANATION, SIGNATURE


@contextmanager
def _explanation(ticket_id: int, number: int, *, by: Actor) -> Iterator[tuple[Case, Explanation]]:
    with clocks.open_case(ticket_id) as case:
        if not permissions.may_note(by, case.ticket):
            raise errors.NotVisible()
        explanation = case.ticket.explanations.filter(number=number).first()
        if explanation is None:
            raise errors.NotVisible()
        yield case, explanation


def _check_state(explanation: Explanation, *states: Explanation.State) -> None:
    if explanation.state not in states:
        events = {
            Explanation.State.DUE: ["submit"],
            Explanation.State.RETURNED: ["submit"],
            Explanation.State.SUBMITTED: ["sign", "return"],
        }
        raise errors.WrongState(allowed_events=events.get(Explanation.State(explanation.state), []))


def submit_explanation(
    ticket_id: int,
    number: int,
    *,
    cause: str,
    remedy: str,
    new_promise_at: datetime | None,
    by: Actor,
) -> Explanation:
    """The owner says why the deadline was missed, what is done about it, and by when now.

    Locks the ticket. Raises NotAllowed for anybody but the owner (without one, the team's
    supervisor), WrongState for one that is signed or waits for its signature.
    """
    with _explanation(ticket_id, number, by=by) as (case, explanation):
        if not permissions.may_explain(by, case.ticket):
            raise errors.NotAllowed()
        _check_state(explanation, Explanation.State.DUE, Explanation.State.RETURNED)
        explanation.state = Explanation.State.SUBMITTED
        explanation.cause, explanation.remedy = masked(cause), masked(remedy)
        explanation.new_promise_at = new_promise_at
        explanation.author, explanation.submitted_at = by.user, case.now
        explanation.save(
            update_fields=["state", "cause", "remedy", "new_promise_at", "author", "submitted_at"]
        )
        case.meet(EXPLANATION, str(number))
        case.promise(SIGNATURE, subject=str(number), cycle=explanation.attempt)
        case.record("explanation.submitted", by=by, subject=str(number))
    return explanation


def sign_explanation(ticket_id: int, number: int, *, by: Actor) -> Explanation:
    """A manager who did not write it signs; from now on it no longer keeps the case open."""
    with _explanation(ticket_id, number, by=by) as (case, explanation):
        _check_signer(by, explanation)
        explanation.state = Explanation.State.SIGNED
        explanation.signer, explanation.signed_at = by.user, case.now
        explanation.save(update_fields=["state", "signer", "signed_at"])
        case.meet(SIGNATURE, str(number))
        case.record("explanation.signed", by=by, subject=str(number))
    return explanation


def return_explanation(ticket_id: int, number: int, *, reason: str, by: Actor) -> Explanation:
    """The manager sends it back with a reason; it is to be written again, on a new clock."""
    with _explanation(ticket_id, number, by=by) as (case, explanation):
        _check_signer(by, explanation)
        explanation.state = Explanation.State.RETURNED
        explanation.return_reason = masked(reason)
        explanation.attempt += 1
        explanation.save(update_fields=["state", "return_reason", "attempt"])
        case.meet(SIGNATURE, str(number))
        case.promise(EXPLANATION, subject=str(number), cycle=explanation.attempt)
        case.record("explanation.returned", by=by, subject=str(number), reason=reason)
    return explanation


def _check_signer(by: Actor, explanation: Explanation) -> None:
    if not permissions.may_sign(by, explanation):
        raise errors.NotAllowed()
    _check_state(explanation, Explanation.State.SUBMITTED)
