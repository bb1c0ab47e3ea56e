"""What a new level does to promises that were made under another one."""

from tickets.clocks.case import settle
from tickets.clocks.promises import Case
from tickets.models import Clock, Explanation
from tickets.models.clock import EXPLANATION, RESOLUTION, RESPONSE, SIGNATURE
from tickets.sla import State


def regrade(case: Case, *, first_decision: bool) -> None:
    """Match every clock of the case anew, inside its pinned policy, after its level changed.

    Deadlines are counted from each clock's own start with all its pauses. Kept and broken promises
    keep their verdict; only the first decision withdraws a breach that existed under the merely
    proposed level. A breach that follows is marked as caused by regrading.
    """
    known = {(clock.kind, clock.cycle) for clock in case.clocks}
    met_late = _late_answers(case) if first_decision else []
    for clock in [*case.clocks, *met_late]:
        if clock.kind not in (EXPLANATION, SIGNATURE):
            _rematch(case, clock, first_decision=first_decision)
    _promise_what_is_new(case, known)
    settle([case], cause=Clock.Cause.REGRADE)


def _rematch(case: Case, clock: Clock, *, first_decision: bool) -> None:
    target = case.policy.target(clock.kind, case.ticket)
    if target is not None and target.pk == clock.target_id:
        return
    if clock.breached_at is not None and not first_decision:
        return
    if target is None:
        if clock.is_live:
            withdraw_breach(case, clock)
            case.end(clock, State.CANCELLED)
        return
    old_target = clock.target
    clock.target = target
    if clock.is_live:
        withdraw_breach(case, clock)
        clock.calendar_version = case.calendar_version(target.calendar_id)
        case.time(clock)
    else:
        due_at = case.plan(clock).due_at
        if clock.met_at is None or clock.met_at > due_at:
            clock.target = old_target
            return
        withdraw_breach(case, clock)
        clock.due_at = due_at
    case.touch(clock)


def _late_answers(case: Case) -> list[Clock]:
    late = case.ticket.clocks.filter(state=State.MET, breached_at__isnull=False)
    return list(late.select_related("target").order_by("pk"))


def _promise_what_is_new(case: Case, known: set[tuple[str, int]]) -> None:
    """Promises that only the new level makes, counted from receipt."""
    cycle = case.ticket.cycle
    missing = [kind for kind in (RESPONSE, RESOLUTION) if (kind, cycle) not in known]
    if missing:
        ended = set(case.ticket.clocks.filter(cycle=cycle).values_list("kind", flat=True))
        for kind in missing:
            if kind not in ended:
                case.promise(kind, cycle=cycle, started_at=case.ticket.received_at)


def withdraw_breach(case: Case, clock: Clock) -> None:
    """The promise was not broken after all: its verdict and its explanation fall away."""
    if clock.breached_at is None:
        return
    case.record("clock.breach_withdrawn", kind=clock.kind, subject=clock.subject)
    clock.breached_at = None
    clock.breach_cause = Clock.Cause.NONE
    for explanation in Explanation.objects.filter(clock=clock):
        case.withdraw_explanation(explanation)
