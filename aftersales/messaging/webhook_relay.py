"""Drains the webhooks: one call at a time for each endpoint, so that a slow one delays only itself.

A call that answers quickly is waited for, so a killed process leaves one of those in doubt; one
that does not is left to a thread, and the next endpoint has its turn.
"""

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from django.db import connection, transaction

from aftersales.common import dbtime
from aftersales.messaging import relay, topics, webhooks
from aftersales.messaging.models import Outbox, WebhookEndpoint

THREADS = 16
PATIENCE = 0.1
# Any number, the same in every process: whoever holds this lock is the one that drains.
_DRAIN_LOCK = 7_270_115_901

_NEXT = """
SELECT endpoint.id, next.id
  FROM messaging_webhookendpoint AS endpoint, LATERAL (
    SELECT id, available_at FROM messaging_outbox
     WHERE topic = 'webhook' AND recipient = 'endpoint:' || endpoint.id
       AND sent_at IS NULL AND dead_at IS NULL AND available_at <= %(now)s
     ORDER BY available_at, id LIMIT 1) AS next
 WHERE endpoint.busy_until IS NULL OR endpoint.busy_until <= %(now)s
 ORDER BY next.available_at, next.id
 LIMIT 1 FOR NO KEY UPDATE OF endpoint SKIP LOCKED
"""

Running = dict[Future[topics.Outcome | None], Outbox]


def relay_webhooks(*, seconds: float = relay.DRAIN_SECONDS) -> int:
    """Sends what is due until nothing is or the time is up; how many calls it settled.

    One process drains at a time, so that hanging endpoints hold one worker at most; a second one
    returns at once. Both would be harmless: endpoint and row are leased.
    """
    end = time.monotonic() + seconds
    settled = 0
    running: Running = {}
    with _single() as alone, ThreadPoolExecutor(THREADS, "webhook") as pool:
        while alone:
            row = None
            if len(running) < THREADS and time.monotonic() < end:
                row = claim_webhook()
            if row is not None:
                settled += _start(row, pool, running)
            if not running and row is None:
                break
            done = wait(running, timeout=PATIENCE, return_when=FIRST_COMPLETED).done
            for call in done:
                fault = call.exception()
                outcome = topics.TryLater(type(fault).__name__) if fault else call.result()
                _settle(running.pop(call), outcome)
                settled += 1
    return settled


def claim_webhook() -> Outbox | None:
    """The next row of an endpoint that nobody talks to, both leased to the caller and committed."""
    while True:
        with transaction.atomic():
            now = dbtime.database_now()
            with connection.cursor() as cursor:
                cursor.execute(_NEXT, {"now": now})
                found = cursor.fetchone()
            if found is None:
                return None
            # The endpoint's lock is ours, so its rows change under nobody but a replay.
            due = Outbox.objects.due("webhook", now).select_for_update(no_key=True)
            row = due.filter(id=found[1]).first()
            if row is None:
                continue
            if row.attempts >= len(relay.SCHEDULE):
                relay.bury(row, "ProcessLost", now=now)
                continue
            WebhookEndpoint.objects.filter(id=found[0]).update(
                busy_until=now + relay.DELIVERY_LEASE
            )
            return relay.lease_rows([row], now=now, lease=relay.DELIVERY_LEASE)[0]


def _start(row: Outbox, pool: ThreadPoolExecutor, running: Running) -> int:
    """Puts the call on its way; 1 when it was settled without one."""
    try:
        call = webhooks.prepare(row, now=dbtime.database_now())
    except Exception as error:
        outcome = error if isinstance(error, topics.Outcome) else None
        _settle(row, outcome or topics.TryLater(type(error).__name__))
        return 1
    running[pool.submit(webhooks.send, call)] = row
    return 0


def _settle(row: Outbox, outcome: topics.Outcome | None) -> None:
    relay.settle(row, outcome)
    number = webhooks.endpoint_id(row)
    WebhookEndpoint.objects.filter(id=number).update(busy_until=None)
    if outcome is not None and outcome.code == "HTTP 410":
        webhooks.disable(number, "HTTP 410", now=dbtime.database_now())


@contextmanager
def _single() -> Iterator[bool]:
    """True for the only drain at work; the lock goes with the connection when a process dies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_DRAIN_LOCK])
        (alone,) = cursor.fetchone()
    try:
        yield alone
    finally:
        if alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_DRAIN_LOCK])
