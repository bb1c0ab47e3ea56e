"""Moves the outbox: expands events exactly once, delivers messages at least once.

A row is claimed under a lease that is committed before anything is done with it. So a process may
die at any instruction: its rows come back when the lease ends, their tries are counted, and a row
that kills every process it meets is given up like any other that fails.
"""

import random
import time
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from aftersales.common import dbtime
from aftersales.messaging import limits, notices, topics
from aftersales.messaging.drafts import Draft, NoticeDraft, outbox_values
from aftersales.messaging.models import Notice, Outbox

log = structlog.get_logger(__name__)

# The wait before each try: the example of Standard Webhooks 1.0, 75 h 35 min in all.
SCHEDULE = [
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
]
JITTER = 0.2
LONGEST_WAIT = timedelta(hours=24)
BATCH = 100
# A batch takes well under a second; a killed one comes back after this.
EXPANSION_LEASE = timedelta(seconds=10)
# Above Celery's hard time limit (60 s), so that nobody else has the row while a send still runs.
DELIVERY_LEASE = timedelta(seconds=75)
DRAIN_SECONDS = 25.0

# The delivering topics of each Celery queue's task.
QUEUES = {"mail": ["mail"], "default": ["sms"]}


def relay_fan_out(*, seconds: float = DRAIN_SECONDS) -> int:
    """Expands what is due, until nothing is or the time is up; how many rows it expanded.

    Safe to run in any number of processes at once. Topics take turns, so that none starves.
    """
    return relay_once(topics.fan_out(), seconds=seconds)


def relay_deliveries(queue: str, *, seconds: float = DRAIN_SECONDS) -> int:
    """Sends what is due on one queue's topics; how many rows it settled."""
    return relay_once(QUEUES[queue], seconds=seconds)


def relay_once(names: Iterable[str], *, seconds: float = DRAIN_SECONDS) -> int:
    """Drains these topics until nothing is due or the time is up; how many rows it dealt with."""
    end = time.monotonic() + seconds
    chosen = [topics.find(name) for name in names]
    settled = 0
    waiting = {topic.name: topic.expand for topic in chosen if topic.expand}
    while waiting and time.monotonic() < end:
        for name, expand in list(waiting.items()):
            count = _expand_next(name, expand)
            settled += count
            if not count:
                del waiting[name]
    for topic in chosen:
        if topic.deliver:
            with topic.session():
                settled += _deliver_run(topic.name, topic.deliver, end)
    return settled


# --- claiming ----------------------------------------------------------------------------------


def claim(topic: str, *, limit: int, lease: timedelta) -> list[Outbox]:
    """Up to ``limit`` due rows, oldest first, leased to the caller and committed.

    Rows that were tried before come alone: should one of them kill its process, it takes no
    other row's try with it. A row without tries left becomes a dead letter here.
    """
    with transaction.atomic():
        now = dbtime.database_now()
        due = Outbox.objects.due(topic, now).select_for_update(skip_locked=True, no_key=True)
        found = list(due[:limit])
        while found and found[0].attempts >= len(SCHEDULE):
            # Every try was begun and none came back to tell: the process died each time.
            bury(found.pop(0), "ProcessLost", now=now)
        fresh = [row for row in found if row.attempts == 0]
        if not found or found[0].attempts:
            return lease_rows(found[:1], now=now, lease=lease)
        return lease_rows(fresh, now=now, lease=lease)


def lease_rows(rows: list[Outbox], *, now: datetime, lease: timedelta) -> list[Outbox]:
    """Counts the try and gives the locked rows, all tried equally often, to the caller."""
    token = uuid.uuid4()
    for row in rows:
        row.attempts += 1
        row.lease = token
        row.available_at = now + lease
    if rows:
        Outbox.objects.filter(id__in=[row.id for row in rows]).update(
            attempts=rows[0].attempts, lease=token, available_at=now + lease
        )
    return rows


# --- expanding: exactly once -------------------------------------------------------------------


def _expand_next(topic: str, expand: topics.Expand) -> int:
    rows = claim(topic, limit=BATCH, lease=EXPANSION_LEASE)
    return _expand_rows(expand, rows) if rows else 0


def _expand_rows(expand: topics.Expand, rows: list[Outbox]) -> int:
    """One transaction for the batch; if it fails, one for each row, so that only the culprit waits.

    Counts the rows dealt with, failed ones included: they are not due any more.
    """
    try:
        with transaction.atomic():
            _expand_locked(expand, rows)
    except Exception as error:
        if len(rows) > 1:
            return sum(_expand_rows(expand, [row]) for row in rows)
        fail(rows[0], topics.TryLater(type(error).__name__))
        log.error("outbox.expansion_failed", row=rows[0].id, error=type(error).__name__)
    return len(rows)


def _expand_locked(expand: topics.Expand, rows: list[Outbox]) -> None:
    # Asked again under lock: a row whose lease ran out may have been expanded meanwhile.
    held = list(
        Outbox.objects.pending()
        .filter(id__in=[row.id for row in rows])
        .select_for_update(no_key=True)
        .order_by("id")
    )
    now = dbtime.database_now()
    wanted: list[tuple[Outbox, Draft]] = []
    expanded = []
    for row in held:
        try:
            wanted += [(row, draft) for draft in expand(row.payload)]
        except topics.Postponed as later:
            fail(row, later)
        else:
            expanded.append(row)
    wanted = limits.admit(wanted, now=now)
    Outbox.objects.bulk_create(_messages(wanted, now), ignore_conflicts=True)
    Notice.objects.bulk_create(_notices(wanted, now))
    Outbox.objects.filter(id__in=[row.id for row in expanded]).update(
        sent_at=now, lease=None, last_error=""
    )


def _messages(wanted: list[tuple[Outbox, Draft]], now: datetime) -> list[Outbox]:
    return [
        Outbox(
            topic=values.topic,
            dedupe_key=values.dedupe_key,
            recipient=values.recipient,
            payload=values.payload,
            created_at=now,
            available_at=now,
        )
        for row, draft in wanted
        if not isinstance(draft, NoticeDraft)
        for values in [outbox_values(row.id, draft)]
    ]


def _notices(wanted: list[tuple[Outbox, Draft]], now: datetime) -> list[Notice]:
    """One line a person, though she may be owner and supervisor at once."""
    once = {
        (row.id, draft.user_id, draft.event_key, draft.url): draft
        for row, draft in wanted
        if isinstance(draft, NoticeDraft)
    }
    return [
        Notice(
            user_id=draft.user_id,
            event_key=draft.event_key,
            params=dict(draft.params),
            url=draft.url,
            created_at=now,
        )
        for draft in once.values()
    ]


# --- delivering: at least once, the same message id on every try -------------------------------


def _deliver_run(topic: str, deliver: topics.Deliver, end: float) -> int:
    """Row by row, each claimed, committed, sent, marked: a killed process leaves one in doubt."""
    settled = 0
    while time.monotonic() < end:
        rows = claim(topic, limit=1, lease=DELIVERY_LEASE)
        if not rows:
            break
        outcome = attempt(deliver, rows[0])
        settle(rows[0], outcome)
        settled += 1
        if isinstance(outcome, topics.TryLater) and outcome.stop:
            break
    return settled


def attempt(deliver: topics.Deliver, row: Outbox) -> topics.Outcome | None:
    """Sends it; None when it went out. A fault in our own code is a try that failed."""
    try:
        deliver(row)
    except topics.Outcome as outcome:
        return outcome
    except Exception as error:
        # The class only: the text of a foreign error quotes addresses and passwords.
        log.error("outbox.delivery_failed", row=row.id, error=type(error).__name__)
        return topics.TryLater(type(error).__name__)
    return None


def settle(row: Outbox, outcome: topics.Outcome | None) -> None:
    """Writes down how the try ended."""
    if outcome is None or isinstance(outcome, topics.Skipped):
        mark_sent(row, note=outcome.code if outcome else "")
    elif isinstance(outcome, topics.Refused):
        with transaction.atomic():
            bury(row, outcome.code, now=dbtime.database_now())
    else:
        fail(row, outcome)


def mark_sent(row: Outbox, *, note: str = "") -> None:
    """Whoever holds the lease by now: what has gone out has gone out."""
    Outbox.objects.filter(id=row.id, sent_at__isnull=True).update(
        sent_at=dbtime.database_now(), dead_at=None, lease=None, last_error=note
    )


def fail(row: Outbox, outcome: topics.Outcome) -> None:
    """Plans the next try, or gives up after the last one; only while the caller holds the lease."""
    with transaction.atomic():
        now = dbtime.database_now()
        if isinstance(outcome, topics.Postponed):
            changes = {"available_at": outcome.until, "attempts": row.attempts - 1}
        elif row.attempts >= len(SCHEDULE):
            bury(row, outcome.code, now=now)
            return
        else:
            after = outcome.after if isinstance(outcome, topics.TryLater) else None
            changes = {"available_at": now + next_wait(row.attempts, after)}
        Outbox.objects.pending().filter(id=row.id, lease=row.lease).update(
            lease=None, last_error=outcome.code, **changes
        )


def next_wait(attempts: int, after: timedelta | None = None) -> timedelta:
    """The wait before try ``attempts + 1``; never shorter than the other side asked for."""
    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
    return max(SCHEDULE[attempts] * spread, min(after or timedelta(0), LONGEST_WAIT))


def bury(row: Outbox, code: str, *, now: datetime) -> None:
    """A dead letter, and a notice to the administrators. In the caller's transaction."""
    buried = (
        Outbox.objects.pending()
        .filter(id=row.id, lease=row.lease)
        .update(dead_at=now, lease=None, last_error=code)
    )
    if buried:
        log.error("outbox.dead_letter", row=row.id, topic=row.topic, error=code)
        notices.tell_administrators(
            "messaging.dead_letter", {"topic": row.topic}, url=notices.DEAD_LETTERS, now=now
        )
