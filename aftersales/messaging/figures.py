"""What health and metrics ask of the outbox; each is answered from a partial index."""

from datetime import datetime, timedelta

from django.db import connection

from aftersales.common import dbtime
from aftersales.messaging.models import Outbox

# Jumps from topic to topic along the index, so that it reads one row a topic, not the backlog.
_OLDEST = """
WITH RECURSIVE first_due AS (
    (SELECT topic, available_at FROM messaging_outbox
      WHERE sent_at IS NULL AND dead_at IS NULL
      ORDER BY topic, available_at LIMIT 1)
    UNION ALL
    SELECT next.topic, next.available_at
      FROM first_due, LATERAL (
        SELECT topic, available_at FROM messaging_outbox
         WHERE sent_at IS NULL AND dead_at IS NULL AND topic > first_due.topic
         ORDER BY topic, available_at LIMIT 1) AS next
)
SELECT min(available_at) FROM first_due
"""


def pending_count() -> int:
    """Rows still to be sent, those that wait for a later try included."""
    return Outbox.objects.pending().count()


def dead_count() -> int:
    """Rows given up that nobody has replayed."""
    return Outbox.objects.dead().count()


def oldest_pending_age(now: datetime | None = None) -> timedelta:
    """How long the most overdue row has waited past its turn; zero when the relay keeps up.

    A row that waits for its next try is not overdue, one of an unknown topic is.
    """
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST)
        oldest: datetime | None = cursor.fetchone()[0]
    if oldest is None:
        return timedelta(0)
    return max((now or dbtime.database_now()) - oldest, timedelta(0))
