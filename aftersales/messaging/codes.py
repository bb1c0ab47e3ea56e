"""One-time codes: six digits derived from the row's id, so the table holds none."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from aftersales.common import dbtime, errors
from aftersales.customers import normal
from aftersales.messaging import limits, outbox, topics
from aftersales.messaging.models import Code
from aftersales.messaging.models.keys import MAX_TRIES

LIFETIME = timedelta(minutes=10)
PER_HOUR = 3
TEMPLATE = "messaging/code"

Channel = Literal["mail", "sms"]


def issue(purpose: str, subject: str, *, contact_id: int, channel: Channel, now: datetime) -> Code:
    """A code for this subject, on its way to the contact once this transaction commits.

    Raises TooMany after three within an hour to the same address, whichever contacts share it.
    Takes a lock on the address, so that two requests at once are counted one after the other.
    """
    with transaction.atomic():
        holders = limits.lock_address(contact_id, channel)
        since = now - timedelta(hours=1)
        recent = list(
            Code.objects.filter(holder__in=holders, created_at__gt=since)
            .order_by("-created_at")
            .values_list("created_at", flat=True)[:PER_HOUR]
        )
        if len(recent) >= PER_HOUR:
            wait = recent[-1] + timedelta(hours=1) - now
            raise errors.TooMany(retry_after=max(1, int(wait.total_seconds()) + 1))
        code = Code.objects.create(
            purpose=purpose,
            subject=subject,
            holder=f"contact:{contact_id}",
            key_id=next(iter(settings.LINK_KEYS)),
            created_at=now,
            expires_at=now + LIFETIME,
        )
        outbox.write(
            channel,
            f"code:{code.id}",
            {"template": TEMPLATE, "params": {"code": code.id}},
            now=now,
            recipient=code.holder,
        )
    return code


def redeem(purpose: str, subject: str, entered: str, *, now: datetime) -> None:
    """Uses up the code that was sent for this subject. Raises Invalid, always the same, otherwise.

    Every live code of the subject counts the try, under lock; the count is committed before the
    error is raised, so call it before, never inside, the transaction of what it permits.
    """
    typed = normal.compact(entered)
    with transaction.atomic(durable=True):
        live = list(
            Code.objects.select_for_update(no_key=True)
            .filter(
                purpose=purpose,
                subject=subject,
                used_at__isnull=True,
                expires_at__gt=now,
                tries__lt=MAX_TRIES,
                key_id__in=list(settings.LINK_KEYS),
            )
            .order_by("id")
        )
        right = [
            code for code in live if hmac.compare_digest(digits(code).encode(), typed.encode())
        ]
        rows = Code.objects.filter(id__in=[code.id for code in live])
        # The right one ends its sisters too: one door, opened once.
        rows.update(tries=F("tries") + 1, used_at=now if right else None)
    if not right:
        raise errors.Invalid(
            errors.FieldError(
                "/code",
                "wrong_code",
                _("This code is wrong or no longer good. Check it, or ask for a new one."),
            )
        )


def digits(code: Code) -> str:
    """The six digits of a code; exist only while it is sent or compared."""
    text = f"code\0{code.key_id}\0{code.purpose}\0{code.subject}\0{code.id}".encode()
    digest = hmac.new(settings.LINK_KEYS[code.key_id], text, hashlib.sha256).digest()
    return f"{int.from_bytes(digest[:8]) % 1_000_000:06d}"


def context(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the message says. Raises Skipped when the code has ended before it could be sent."""
    code = Code.objects.filter(id=params["code"], used_at__isnull=True).first()
    if code is None or code.expires_at <= dbtime.database_now():
        raise topics.Skipped("CodeEnded")
    return {"code": digits(code), "minutes": int(LIFETIME.total_seconds() // 60)}
