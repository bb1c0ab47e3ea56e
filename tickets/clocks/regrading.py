"""What a new level does to promises that were made under another one."""

from datetime import datetime

from tickets.clocks.case import settle
from tickets.clocks.promises import Case
from tickets.models import Clock, Message, Target, Ticket
from tickets.models.clock import EXPLANATION, RESOLUTION, RESPONSE, SIGNATURE
from tickets.sla import State


def regrade(case: Case, *, first_decision: bool) -> None:
    """Match every clock of the case anew, inside its pinned policy, after its level changed.

    Deadlines are counted from each clock's own start with all its pauses. Kept and broken promises
    keep their verdict; only the first decision withdraws a breach that existed under the merely
    proposed level. A breach that follows is marked as caused by regrading, unless the promise was
    late under the level before as well.
    """
    late_anyway = [clock for clock in case.clocks if clock.breached_at is not None]
    for clock in [*case.clocks, *(_late_answers(case) if first_decision else ())]:
        if clock.kind not in (EXPLANATION, SIGNATURE):
            _rematch(case, clock, first_decision=first_decision)
    _promise_what_is_new(case)
    settle([case], cause=Clock.Cause.REGRADE, late_anyway=late_anyway)


def _rematch(case: Case, clock: Clock, *, first_decision: bool) -> None:
    target = case.policy.target(clock.kind, case.ticket)
    same = target is not None and target.pk == clock.target_id
    if same or (clock.breached_at is not None and not first_decision):
        return
    if clock.is_live:
        _promise_otherwise(case, clock, target)
    elif target is not None:
        _judge_again(case, clock, target)


def _promise_otherwise(case: Case, clock: Clock, target: Target | None) -> None:
    """A running promise under its new target; whoever is late by both explains it once."""
    if target is None:
        case.withdraw_breach(clock)
        case.end(clock, State.CANCELLED)
        return
    _count_by(case, clock, target)
    still_late = clock.breached_at is not None and case.plan(clock).due_at < case.now
    case.withdraw_breach(clock, still_late=still_late)
    clock.stage = ""
    case.time(clock)
    if still_late:
        clock.explanations.exclude(state="withdrawn").update(missed_at=clock.due_at)


def _judge_again(case: Case, clock: Clock, target: Target) -> None:
    """A promise that was kept late: in time under the new target, its breach falls away."""
    old = clock.target
    _count_by(case, clock, target)
    plan = case.plan(clock)
    if clock.met_at is None or clock.met_at > plan.due_at:
        _count_by(case, clock, old)
        return
    case.withdraw_breach(clock)
    clock.due_at, clock.risk_at = plan.due_at, plan.risk_at
    case.touch(clock)


def _count_by(case: Case, clock: Clock, target: Target) -> None:
    clock.target = target
    clock.calendar_version = case.calendar_version(target.calendar_id)


def _late_answers(case: Case) -> list[Clock]:
    late = case.ticket.clocks.filter(state=State.MET, breached_at__isnull=False)
    return list(late.select_related("target").order_by("pk"))


def _promise_what_is_new(case: Case) -> None:
    """Promises that only the new level makes; one that an earlier decision cancelled comes back."""
    ticket = case.ticket
    for kind in (RESPONSE, RESOLUTION):
        if case.live(kind) or case.policy.target(kind, ticket) is None:
            continue
        began_at = _cycle_began_at(ticket)
        if kind == RESPONSE and ticket.messages.filter(
            kind=Message.Kind.REPLY, created_at__gte=began_at
        ):
            continue
        known = ticket.clocks.filter(kind=kind, subject="", cycle=ticket.cycle).first()
        if known is None:
            case.promise(kind, cycle=ticket.cycle, started_at=began_at)
        elif known.state == State.CANCELLED:
            case.promise_again(known)


def _cycle_began_at(ticket: Ticket) -> datetime:
    reopened = ticket.events.filter(name="ticket.reopened").order_by("pk").last()
    return reopened.at if reopened else ticket.received_at
