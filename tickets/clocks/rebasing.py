"""Calendar facts are corrected: promises that are still open follow the newest version."""

from collections.abc import Iterator

import structlog

from tickets.clocks.case import open_case, settle
from tickets.clocks.promises import Case
from tickets.models import CalendarVersion, Clock

log = structlog.get_logger()

BATCH = 200


def rebase() -> int:
    """Count every unbroken live clock by the newest version of its calendar; how many moved.

    A deadline that moves is an event; a breach that follows is marked as the calendar's doing.
    Safe to run twice, and to be killed: the clocks' own versions say what is left. A case that was
    received while the correction was published is found by the next run.
    """
    moved = 0
    for ticket_id in _behind():
        try:
            with open_case(ticket_id) as case:
                moved += _follow(case)
                settle([case], cause=Clock.Cause.CALENDAR)
        except Exception:
            log.exception("rebase_failed", ticket=ticket_id)
    return moved


def _behind() -> Iterator[int]:
    """Cases with a promise that is counted by facts of yesterday."""
    newest = CalendarVersion.objects.order_by("calendar", "-number").distinct("calendar")
    superseded = list(CalendarVersion.objects.exclude(pk__in=newest.values("pk")))
    clocks = Clock.objects.unbroken().filter(calendar_version__in=superseded)
    last = 0
    while superseded:
        found = clocks.filter(ticket__gt=last).values_list("ticket", flat=True)
        ids = list(found.order_by("ticket").distinct()[:BATCH])
        if not ids:
            return
        yield from ids
        last = ids[-1]


def _follow(case: Case) -> int:
    moved = 0
    for clock in case.clocks:
        newest = case.calendar_version(clock.target.calendar_id)
        if clock.breached_at is not None or clock.calendar_version_id == newest.pk:
            continue
        before = clock.due_at
        case.time(clock, only=set(clock.stage_keys))
        if clock.due_at != before:
            moved += 1
            case.record(
                "clock.rebased",
                clock=clock,
                before={"due_at": before.isoformat()},
                after={"due_at": clock.due_at.isoformat()},
                calendar_version=newest.number,
            )
    return moved
