"""What must hold for the portal to be ready, each judged by its result.

A failed check answers 503; a degraded one means that people notice nothing yet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from django.db import Error as DatabaseTrouble
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Max, Min
from redis.backoff import NoBackoff
from redis.retry import Retry

from aftersales.common import dbtime
from aftersales.health import receivers
from aftersales.health.models import TaskRun
from aftersales.messaging import figures
from tickets import clocks
from tickets.models import CalendarVersion, Ticket

LATE_WAKE = timedelta(seconds=30)
MANY_PUSHED = 10
CLOCK_DIFFERENCE = timedelta(seconds=2)
LATE_MESSAGE = timedelta(minutes=5)
CALENDAR_ENDS = timedelta(days=120)
# A task may miss two runs, and a worker may be restarted meanwhile.
MISSED_RUNS = 3
RESTART = timedelta(seconds=30)


class Verdict(StrEnum):
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One check's answer; the facts are numbers and names of ours, never anybody's data."""

    verdict: Verdict
    facts: dict[str, Any] = field(default_factory=dict)


def judge(is_well: bool, otherwise: Verdict = Verdict.FAILED, **facts: Any) -> Finding:
    return Finding(Verdict.READY if is_well else otherwise, facts)


def clock() -> Finding:
    """This process and the database agree what time it is."""
    before = datetime.now(UTC)
    there = dbtime.database_now()
    after = datetime.now(UTC)
    difference = abs(before + (after - before) / 2 - there)
    return judge(difference <= CLOCK_DIFFERENCE, seconds=round(difference.total_seconds(), 3))


@lru_cache(maxsize=1)
def _migrations_on_disk() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).disk_migrations or ())


def migrations() -> Finding:
    """The database has every migration that this code has."""
    missing = _migrations_on_disk() - MigrationRecorder(connection).applied_migrations().keys()
    return judge(not missing, missing=sorted(".".join(key) for key in missing))


def deadlines() -> Finding:
    """No case has waited for the sweep for long; what matters is that it was done, not by whom."""
    now = dbtime.database_now()
    oldest = Ticket.objects.due_to_wake(now).aggregate(oldest=Min("wake_at"))["oldest"]
    late = now - oldest if oldest else timedelta(0)
    return judge(late <= LATE_WAKE, oldest_seconds=round(late.total_seconds(), 1))


def pushed() -> Finding:
    """Cases that the sweep could not settle are pushed ahead; a few are a fault, many a failure."""
    # All of them wake within one push, so the index on wake_at finds them.
    soon = dbtime.database_now() + clocks.PUSH
    count = Ticket.objects.filter(wake_at__lte=soon, wake_attempts__gt=0).count()
    verdict = Verdict.FAILED if count >= MANY_PUSHED else Verdict.DEGRADED
    return judge(count == 0, verdict, cases=count)


def tasks() -> Finding:
    """Every scheduled task has succeeded in time."""
    now = dbtime.database_now()
    last = {run.name: run.succeeded_at or run.expected_since for run in TaskRun.objects.all()}
    overdue = [
        name
        for name, seconds in sorted(receivers.schedule().items())
        if name not in last or now - last[name] > MISSED_RUNS * timedelta(seconds=seconds) + RESTART
    ]
    return judge(not overdue, overdue=overdue)


def messages() -> Finding:
    """What must leave leaves; what was given up waits for a person."""
    late, dead = figures.oldest_pending_age(), figures.dead_count()
    return judge(
        late <= LATE_MESSAGE and dead == 0,
        Verdict.DEGRADED,
        oldest_seconds=round(late.total_seconds(), 1),
        given_up=dead,
    )


def calendars() -> Finding:
    """No calendar runs out of published days soon; past its end deadlines are provisional."""
    last_days = CalendarVersion.objects.values("calendar__code").annotate(last=Max("until"))
    limit = (dbtime.database_now() + CALENDAR_ENDS).date()
    ending = sorted(row["calendar__code"] for row in last_days if row["last"] < limit)
    return judge(not ending, Verdict.DEGRADED, ending=ending)


def broker() -> Finding:
    """Redis answers. Without it all goes on, a little later."""
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=1,
        socket_timeout=1,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.ping()
    except (redis.RedisError, OSError):
        return judge(False, Verdict.DEGRADED)
    finally:
        client.close()
    return judge(True)


NEEDING_THE_DATABASE: dict[str, Callable[[], Finding]] = {
    "clock": clock,
    "migrations": migrations,
    "deadlines": deadlines,
    "pushed": pushed,
    "tasks": tasks,
    "messages": messages,
    "calendars": calendars,
}


def run_all() -> dict[str, Finding]:
    """Every check's finding. Without the database, or a table of it, the check has failed."""
    findings = {"database": _reach_database(), "broker": broker()}
    if findings["database"].verdict is Verdict.READY:
        findings |= dict(_of_the_database())
        if findings["broker"].verdict is not Verdict.READY:
            # No task runs without the broker; what must be done all the same, the ticker does,
            # and ``deadlines`` judges that by its result.
            findings["tasks"] = replace(findings["tasks"], verdict=Verdict.DEGRADED)
    return findings


def _reach_database() -> Finding:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseTrouble as error:
        return judge(False, error=type(error).__name__)
    return judge(True)


def _of_the_database() -> Iterator[tuple[str, Finding]]:
    for name, check in NEEDING_THE_DATABASE.items():
        try:
            yield name, check()
        except DatabaseTrouble as error:
            yield name, judge(False, error=type(error).__name__)


def worst(findings: dict[str, Finding]) -> Verdict:
    order = list(Verdict)
    return max((finding.verdict for finding in findings.values()), key=order.index)
