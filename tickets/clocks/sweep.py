"""The sweep: settle in bulk every case that is due, as often as anybody calls it.

It may run many times over at once: a case is locked by one sweep and skipped by the others. The
locking query asks only for the ticket's own column; with the condition on another table
SKIP LOCKED let two sweeps flag one breach (measured: 6,200 events for 3,000 tickets).
"""

from datetime import timedelta

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F

from aftersales.common import dbtime
from tickets.clocks.case import load, open_case, settle, store
from tickets.models import Ticket

log = structlog.get_logger()

BATCH = 500
PUSH = timedelta(minutes=5)


def sweep() -> int:
    """Settle all cases that are due; returns how many it settled.

    Safe to run twice, or never for a while: times in the events are the true ones. Raises the
    database's OperationalError or InterfaceError when the connection is lost; nothing is half
    done then.
    """
    settled = 0
    while True:
        ids: list[int] = []
        try:
            with transaction.atomic():
                tickets = list(
                    Ticket.objects.due_to_wake(dbtime.database_now())
                    .select_for_update(of=("self",), no_key=True, skip_locked=True)
                    .order_by("wake_at")[:BATCH]
                )
                ids = [ticket.pk for ticket in tickets]
                cases = load(tickets, dbtime.database_now())
                settle(cases)
                store(cases)
            settled += len(ids)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("sweep_batch_failed", tickets=len(ids))
            settled += sum(_settle_alone(ticket_id) for ticket_id in ids)
        if len(ids) < BATCH:
            return settled


def _settle_alone(ticket_id: int) -> bool:
    """Settle one case of a failed batch; the culprit is pushed ahead and counted.

    The push is the one exception to "never late": health shows pushed cases.
    """
    try:
        with open_case(ticket_id):
            pass
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("sweep_ticket_failed", ticket=ticket_id)
        Ticket.objects.filter(pk=ticket_id).update(
            wake_at=dbtime.database_now() + PUSH, wake_attempts=F("wake_attempts") + 1
        )
        return False
    return True
