"""What happens to messages that were given up."""

import structlog
from django.db import transaction

from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role
from aftersales.common import dbtime, errors
from aftersales.messaging.models import Outbox

log = structlog.get_logger(__name__)


def replay(outbox_id: int, *, by: Actor) -> Outbox:
    """Sends a dead letter again, with the same message id and all its tries anew.

    Locks the row. Raises NotAllowed for anybody but an administrator, NotVisible for an unknown
    row, WrongState for one that is not dead.
    """
    if not by.has_role(Role.ADMINISTRATOR):
        raise errors.NotAllowed
    with transaction.atomic():
        row = Outbox.objects.select_for_update(no_key=True).filter(id=outbox_id).first()
        if row is None:
            raise errors.NotVisible
        if row.dead_at is None:
            raise errors.WrongState(allowed_events=[])
        row.dead_at = None
        row.attempts = 0
        row.available_at = dbtime.database_now()
        row.save(update_fields=["dead_at", "attempts", "available_at"])
    log.info("outbox.replayed", row=row.id, by=by.label)
    return row
