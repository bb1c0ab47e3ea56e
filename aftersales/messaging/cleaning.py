"""Takes away rows that nobody reads any more, a bounded number at a time."""

from datetime import datetime, timedelta

from django.db.models import QuerySet

from aftersales.common import dbtime
from aftersales.messaging.models import Code, Link, Notice, Outbox

SENT_KEPT = timedelta(days=30)
READ_NOTICES_KEPT = timedelta(days=90)
LINKS_KEPT = timedelta(days=90)
CODES_KEPT = timedelta(days=1)
STEP = 2000
STEPS = 50


def clean_messages() -> int:
    """Removes sent rows, read notices, ended links and codes past their time; how many.

    At most ``STEPS`` times ``STEP`` rows of each; the next run goes on. Dead letters stay until
    somebody has dealt with them.
    """
    now = dbtime.database_now()
    return (
        _walk(Outbox.objects.all(), "sent_at", now - SENT_KEPT)
        + _walk(Notice.objects.all(), "read_at", now - READ_NOTICES_KEPT)
        + _remove(Link.objects.filter(expires_at__lt=now - LINKS_KEPT))
        + _remove(Code.objects.filter(created_at__lt=now - CODES_KEPT))
    )


def _walk(rows: "QuerySet[Outbox] | QuerySet[Notice]", done: str, before: datetime) -> int:
    """Goes through the table from its oldest row by primary key until rows are young: no index."""
    removed = last = 0
    for _ in range(STEPS):
        window = rows.filter(id__gt=last).order_by("id")[:STEP]
        found = list(window.values_list("id", "created_at", done))
        if not found or found[0][1] >= before:
            break
        old = [number for number, _, done_at in found if done_at and done_at < before]
        removed += rows.filter(id__in=old).delete()[0]
        last = found[-1][0]
    return removed


def _remove(rows: "QuerySet[Link] | QuerySet[Code]") -> int:
    removed = 0
    for _ in range(STEPS):
        ids = list(rows.values_list("id", flat=True)[:STEP])
        removed += rows.filter(id__in=ids).delete()[0]
        if len(ids) < STEP:
            break
    return removed
