"""The one door to a case: lock it, read the time, settle what is due, work, write.

Every write of tickets and of the apps above goes through ``open_case``. Settling before the work
is why a reply one second late, or a pause set after the deadline, still leaves its breach.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from django.db import transaction

from aftersales.common import dbtime, errors
from tickets import sla
from tickets.clocks import policies, rows
from tickets.clocks.promises import Case
from tickets.models import CalendarVersion, Clock, Explanation, Pause, Ticket

# Filled by TicketsConfig.ready: what the workflow does with a case whose longest wait is over.
wait_lapsed: list[Callable[[Case, Pause], None]] = []

_open_ids: ContextVar[tuple[int, ...]] = ContextVar("open_cases", default=())


@contextmanager
def open_case(ticket_id: int) -> Iterator[Case]:
    """Lock the ticket, settle it, and yield it; on leaving, write everything in one transaction.

    Raises errors.NotVisible for an unknown id. ``now`` is read after the lock is held, so that
    whoever comes second sees a later time. The locking query has no join: after a wait PostgreSQL
    would match the new row with the old ones of the other tables. Two cases are opened inside each
    other by ascending id, one never twice (RuntimeError): the inner one's writes would be lost.
    """
    held = _open_ids.get()
    if held and ticket_id <= max(held):
        raise RuntimeError(
            f"Case {ticket_id} is to be opened before, or is in hand already: {held}"
        )
    with transaction.atomic():
        ticket = Ticket.objects.select_for_update(no_key=True).filter(pk=ticket_id).first()
        if ticket is None:
            raise errors.NotVisible()
        (case,) = load([ticket], dbtime.database_now())
        settle([case])
        write([case])
        token = _open_ids.set((*held, ticket_id))
        try:
            yield case
        finally:
            _open_ids.reset(token)
        store([case])


def load(tickets: Sequence[Ticket], now: datetime) -> list[Case]:
    """The locked tickets as cases, with their live clocks and all their pauses, in two queries."""
    ids = [ticket.pk for ticket in tickets]
    clocks: dict[int, list[Clock]] = {pk: [] for pk in ids}
    for clock in Clock.objects.filter(ticket__in=ids).live().order_by("pk"):
        clocks[clock.ticket_id].append(clock)
    pauses: dict[int, list[Pause]] = {pk: [] for pk in ids}
    for pause in Pause.objects.filter(ticket__in=ids).order_by("started_at", "pk"):
        pauses[pause.ticket_id].append(pause)
    cases = []
    shared: dict[int, CalendarVersion] = {}
    for ticket in tickets:
        targets = policies.policy(ticket.policy_id).targets_by_id
        for clock in clocks[ticket.pk]:
            clock.ticket = ticket
            clock.target = targets[clock.target_id]
        cases.append(Case(ticket, now, clocks[ticket.pk], pauses[ticket.pk], shared))
    return cases


def settle(
    cases: Sequence[Case], *, cause: str = Clock.Cause.NONE, late_anyway: Sequence[Clock] = ()
) -> None:
    """Let everything happen that was due before now: waits that end by themselves, then stages.

    Clocks, explanations and events are written by ``write``. ``cause`` marks breaches that come of
    regrading or of a corrected calendar; ``late_anyway`` are clocks that were late without it.
    """
    marks = [len(case.events) for case in cases]
    for case in cases:
        _end_lapsed_waits(case)
    _ask_for_explanations(
        [
            (case, clock)
            for case in cases
            for clock in _fire_due(case, cause, late_anyway)
            if clock.target.explain
        ]
    )
    for case, mark in zip(cases, marks, strict=True):
        case.events[mark:] = sorted(case.events[mark:], key=lambda event: event.at)


def write(cases: Sequence[Case]) -> None:
    """Write what was noted so far, in bulk: clocks, explanations, events with their outbox rows."""
    rows.insert([clock for case in cases for clock in case.new_clocks])
    rows.insert([explanation for case in cases for explanation in case.new_explanations])
    rows.write_clocks([clock for case in cases for clock in case.changed_clocks.values()])
    if events := [event for case in cases for event in case.events]:
        rows.write_events(events, cases[0].now)
    for case in cases:
        case.written()


def store(cases: Sequence[Case]) -> None:
    """Write everything, and of the cases when they wake next."""
    write(cases)
    woken_elsewhen = []
    for case in cases:
        ticket = case.ticket
        before = (ticket.wake_at, ticket.next_due_at)
        case.derive()
        if ticket.wake_attempts:
            case.change(wake_attempts=0)
        if case.changed_fields:
            ticket.save(update_fields={*case.changed_fields, "wake_at", "next_due_at"})
        elif (ticket.wake_at, ticket.next_due_at) != before:
            woken_elsewhen.append(ticket)
    if woken_elsewhen:
        rows.write_wake_times(woken_elsewhen)


def _end_lapsed_waits(case: Case) -> None:
    for pause in sorted(case.open_pauses, key=lambda pause: pause.limit_at):
        if pause.limit_at < case.now:
            case.end_pause(pause, pause.limit_at)
            for react in wait_lapsed:
                react(case, pause)


def _fire_due(case: Case, cause: str, late_anyway: Sequence[Clock]) -> list[Clock]:
    """Reach every stage that lies before now; returns the promises of ours newly broken.

    Each stage is an event at its own moment, but only a clock's last one tells anybody.
    """
    broken = []
    for clock in case.clocks:
        if clock.next_at is None or clock.next_at >= case.now:
            continue
        stages = list(zip(clock.stage_at, clock.stage_keys, strict=True))
        reached = [stage for stage in stages if stage[0] < case.now]
        clock.stage = reached[-1][1]
        clock.schedule(stages[len(reached) :])
        because = Clock.Cause.NONE.value if clock in late_anyway else cause
        for at, key in reached:
            if key == sla.BREACH:
                clock.breached_at = clock.due_at
                clock.breach_cause = because
                if clock.party == sla.Party.US:
                    broken.append(clock)
            case.record(
                _event_name(clock, at, key),
                clock=clock,
                at=at,
                stage=key,
                superseded=(at, key) != reached[-1],
                cause=because,
            )
        case.touch(clock)
    return broken


def _ask_for_explanations(broken: Sequence[tuple[Case, Clock]]) -> None:
    """One explanation for each breach; a signed one that explains this very deadline is enough."""
    ids = {case.ticket.pk for case, _ in broken}
    if not ids:
        return
    numbers: Counter[int] = Counter()
    explained = set()
    for ticket_id, number, clock_id, missed_at, state in Explanation.objects.filter(
        ticket__in=ids
    ).values_list("ticket", "number", "clock", "missed_at", "state"):
        numbers[ticket_id] = max(numbers[ticket_id], number)
        if state != Explanation.State.WITHDRAWN:
            explained.add((clock_id, missed_at))
    for case, clock in broken:
        if (clock.pk, clock.due_at) in explained:
            continue
        numbers[case.ticket.pk] += 1
        # Nobody could know before now of a deadline that was moved into the past.
        asked_at = case.now if clock.breach_cause else clock.due_at
        case.ask_for_explanation(clock, numbers[case.ticket.pk], asked_at=asked_at)
    # After an outage the explanation itself may be overdue by now; it asks for no further one.
    for case in {id(case): case for case, _ in broken}.values():
        _fire_due(case, Clock.Cause.NONE, ())


def _event_name(clock: Clock, at: datetime, key: str) -> str:
    if key == sla.BREACH:
        return "clock.breached" if clock.party == sla.Party.US else "clock.lapsed"
    return "clock.warned" if at < clock.due_at else "clock.escalated"
