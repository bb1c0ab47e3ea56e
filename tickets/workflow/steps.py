"""What every step of a case shares: the case opened, the right and the transition checked."""

from collections.abc import Iterator
from contextlib import contextmanager

from aftersales.accounts.actors import Actor
from aftersales.common import errors
from tickets import clocks, permissions, states
from tickets.clocks import Case


@contextmanager
def step(ticket_id: int, event: str, *, by: Actor, version: int | None = None) -> Iterator[Case]:
    """Open the case for one event of the machine and leave it in the event's state.

    Locks the ticket. Raises NotVisible, NotAllowed, Stale (``version`` is not the present one) or
    WrongState, in this order; whatever is raised changes nothing.
    """
    transition = states.TRANSITIONS[event]
    with clocks.open_case(ticket_id) as case:
        check_right(case, event, by=by, version=version)
        if case.ticket.status not in transition.sources:
            raise errors.WrongState(allowed_events=permissions.allowed_events(by, case.ticket))
        yield case
        if transition.to is not None:
            move(case, transition.to)


def check_right(case: Case, event: str, *, by: Actor, version: int | None = None) -> None:
    """Raises NotVisible, NotAllowed or Stale."""
    ticket = case.ticket
    if not permissions.may_see(by, ticket):
        raise errors.NotVisible()
    if not getattr(permissions, states.TRANSITIONS[event].may)(by, ticket):
        raise errors.NotAllowed()
    if version is not None and version != ticket.version:
        raise errors.Stale(version=ticket.version)


def move(case: Case, status: states.Status) -> None:
    """Put the case into a state, with the times that the state must or must not have."""
    now, ticket = case.now, case.ticket
    done = (states.Status.RESOLVED, states.Status.CLOSED)
    case.change(
        status=status,
        waiting_reason=ticket.waiting_reason if status == states.Status.WAITING else "",
        resolved_at=(ticket.resolved_at or now) if status in done else None,
        closed_at=now if status == states.Status.CLOSED else None,
        cancelled_at=now if status == states.Status.CANCELLED else None,
    )


def edited(case: Case) -> None:
    """A person changed the row: whoever read the version before must read again."""
    case.change(version=case.ticket.version + 1)
