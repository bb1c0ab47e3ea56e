"""Writing to the outbox, in the transaction of the change that is told about."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from aftersales.common import dbtime
from aftersales.messaging.drafts import check_ids
from aftersales.messaging.models import Outbox

_INSERT = """
INSERT INTO messaging_outbox (topic, dedupe_key, payload, created_at, available_at, recipient)
SELECT %(topic)s, %(key)s, %(payload)s::jsonb, moment, coalesce(%(later)s, moment), %(recipient)s
  FROM (SELECT coalesce(%(now)s, clock_timestamp()) AS moment) AS clock
ON CONFLICT (dedupe_key) DO NOTHING
RETURNING id, created_at, available_at
"""


def write(
    topic: str,
    dedupe_key: str,
    payload: Mapping[str, Any],
    *,
    now: datetime | None = None,
    available_at: datetime | None = None,
    recipient: str = "",
) -> Outbox:
    """The row that will be relayed once this transaction commits.

    The same ``dedupe_key`` again changes nothing and gives back the first row. Raises NotAnId when
    ``payload`` holds more than ids and keys: never a name, an address or a secret.
    """
    check_ids(payload)
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            {
                "topic": topic,
                "key": dedupe_key,
                "payload": json.dumps(dict(payload)),
                "now": now or dbtime.pinned(),
                "later": available_at,
                "recipient": recipient,
            },
        )
        new = cursor.fetchone()
    if new is None:
        return Outbox.objects.get(dedupe_key=dedupe_key)
    row_id, created_at, first_try_at = new
    return Outbox(
        id=row_id,
        topic=topic,
        dedupe_key=dedupe_key,
        payload=dict(payload),
        created_at=created_at,
        available_at=first_try_at,
        attempts=0,
        recipient=recipient,
        last_error="",
    )
