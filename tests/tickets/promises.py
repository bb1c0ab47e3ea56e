"""Promises beyond the profile's own, as an upper app or another firm would publish them."""

from typing import Any

from aftersales.accounts.actors import Actor
from tickets import workflow
from tickets.clocks import policies
from tickets.models import Clock, PauseReason, PolicyVersion, Target, Ticket

HOUR = {"basis": "elapsed", "amount": 3600, "rule": ""}


def add_target(policy: PolicyVersion, clock_kind: str, **changes: Any) -> Target:
    """An hour by the calendar of the policy, before the policy has judged anything."""
    values = {"calendar": policy.default_calendar, "budgets": [HOUR]} | changes
    target = Target.objects.create(policy=policy, clock_kind=clock_kind, **values)
    policies.policy.cache_clear()
    return target


def waiting_for(*stops: str, days: int = 7) -> PauseReason:
    return PauseReason(code="parts", stops=list(stops), longest=days)


def clock_of(ticket: Ticket, kind: str, subject: str = "", cycle: int = 1) -> Clock:
    return ticket.clocks.get(kind=kind, subject=subject, cycle=cycle)


def take(ticket: Ticket, by: Actor) -> None:
    """Somebody of the case's team takes it."""
    assert by.user is not None
    workflow.assign_ticket(ticket.pk, owner_id=by.user.pk, by=by)
