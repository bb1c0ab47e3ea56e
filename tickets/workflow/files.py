"""Files of a case: taken in, stored beside their row, and swept up where no row came of them."""

import logging
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import Count, Sum
from django.utils.translation import gettext_lazy as _

from aftersales.accounts.actors import Actor, ActorKind
from aftersales.common import dbtime, errors
from tickets import files
from tickets.clocks import Case
from tickets.models import Attachment, Ticket
from tickets.models.event import attachment_path
from tickets.workflow.handling import end_wait_for_customer
from tickets.workflow.steps import check_right, step

logger = logging.getLogger(__name__)

MAX_FILES = 10
MAX_TOTAL = 50 * 2**20
# No transaction lives this long: a file that is older and has no row will never have one.
ORPHAN_AGE = timedelta(hours=1)
# The task runs daily; folders untouched for longer were looked at before.
LOOK_BACK = timedelta(days=7)
REMOVED_AT_ONCE = 1000


class CaseFull(files.FileRefused):
    """The case has as many files, or as many bytes of them, as a case may have."""

    status, code = 409, "case_full"
    detail = _("This case takes no more files.")


def attach_file(
    ticket_id: int, upload: files.Upload, *, internal: bool = False, by: Actor
) -> Attachment:
    """Add a file to the case, cleaned; the same content sent twice is one attachment.

    Locks the ticket, which also holds the limits of a case. A customer's file ends a wait for the
    customer, as a message does. Raises Invalid for an internal file of somebody outside, what
    ``files.inspect`` raises, CaseFull, and StorageUnavailable when the file cannot be written.
    """
    _look(ticket_id, internal, by)
    prepared = files.inspect(upload)  # before the lock: it can take seconds
    with step(ticket_id, "attach", by=by) as case:
        known = Attachment.objects.filter(
            ticket=case.ticket, sha256=prepared.sha256, internal=internal
        ).first()
        if known is not None:
            return known
        _check_room(case, prepared.size)
        attachment = Attachment(
            ticket=case.ticket,
            name=prepared.name,
            content_type=prepared.content_type,
            size=prepared.size,
            sha256=prepared.sha256,
            internal=internal,
            uploaded_by=by.user,
            actor_kind=by.kind,
            created_at=case.now,
        )
        attachment.file.name = attachment_path(attachment, "")
        attachment.save(force_insert=True)
        case.record(
            "ticket.file_attached",
            by=by,
            file=str(attachment.public_id),
            content_type=attachment.content_type,
            size=attachment.size,
            internal=internal,
        )
        if by.kind != ActorKind.STAFF:
            end_wait_for_customer(case, by=by, because="customer_sent_file")
        # Last, and before the commit: a row never lacks its file. What is rolled back from here
        # on leaves a file without a row, for remove_orphan_files.
        _write(attachment.file.name, prepared.content)
    return attachment


def _look(ticket_id: int, internal: bool, by: Actor) -> None:
    """Refuse before anything is decoded what the lock would refuse; the lock decides."""
    ticket = Ticket.objects.filter(pk=ticket_id).first()
    if ticket is None:
        raise errors.NotVisible()
    check_right(Case(ticket, dbtime.database_now()), "attach", by=by)
    if internal and by.kind != ActorKind.STAFF:
        raise errors.Invalid(
            errors.FieldError("/internal", "staff_only", _("Only staff attach internal files."))
        )


def _check_room(case: Case, size: int) -> None:
    """Raises CaseFull. Safe against others under the ticket's lock only."""
    used = Attachment.objects.filter(ticket=case.ticket).aggregate(
        count=Count("pk"), size=Sum("size", default=0)
    )
    if used["count"] >= MAX_FILES:
        raise CaseFull("too_many_files", _("A case takes at most 10 files."))
    if used["size"] + size > MAX_TOTAL:
        raise CaseFull("too_many_bytes", _("A case takes at most 50 MB of files."))


def _write(path: str, content: bytes) -> None:
    """Write the file so that it outlives a power cut, or leave nothing there.

    Raises StorageUnavailable.
    """
    try:
        default_storage.save(path, ContentFile(content))
        whole = Path(default_storage.path(path))
        for part in (whole, whole.parent, whole.parent.parent):
            _flush(part)
    except OSError as error:
        with suppress(OSError):
            default_storage.delete(path)
        logger.error("file_not_stored", extra={"errno": error.errno})
        raise errors.StorageUnavailable(retry_after=60) from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_orphan_files() -> int:
    """Remove files whose row was never committed, as a crash leaves them; how many there were.

    Looks only into folders to which a file came lately, so that its cost follows the traffic and
    not the archive, and removes a bounded number at once.
    """
    now = dbtime.database_now()
    old = _files_between((now - LOOK_BACK).timestamp(), (now - ORPHAN_AGE).timestamp())
    ids = list(old)
    orphans: list[UUID] = []
    for first in range(0, len(ids), REMOVED_AT_ONCE):
        asked = ids[first : first + REMOVED_AT_ONCE]
        known = Attachment.objects.filter(public_id__in=asked).values_list("public_id", flat=True)
        orphans += set(asked) - set(known)
    for public_id in orphans[:REMOVED_AT_ONCE]:
        old[public_id].unlink(missing_ok=True)
        logger.warning("orphan_file_removed", extra={"file": str(public_id)})
    return len(orphans[:REMOVED_AT_ONCE])


def _files_between(folder_after: float, file_before: float) -> dict[UUID, Path]:
    """Files of cases by their id, of folders and with times as given."""
    root = Path(default_storage.path("tickets"))
    if not root.is_dir():
        return {}
    with os.scandir(root) as folders:
        recent = [folder.path for folder in folders if folder.stat().st_mtime > folder_after]
    found = {}
    for folder in recent:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.stat().st_mtime < file_before:
                    found[UUID(entry.name)] = Path(entry.path)
    return found
