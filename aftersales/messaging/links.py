"""Secret links, derived and never stored: token = id + HMAC(LINK_KEYS[key id], purpose, id).

Whoever steals the table has no token; whoever guesses must guess 128 bits. A second mail about the
same case carries the same link.
"""

import base64
import hashlib
import hmac
import re
from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from aftersales.common import errors
from aftersales.messaging import topics
from aftersales.messaging.models import Link

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SEAL_LENGTH = 26  # 128 bits in base 32; letters and digits only, for mail programs cut at signs
_TOKEN = re.compile(rf"([0-9a-z]{{1,12}})([a-z2-7]{{{_SEAL_LENGTH}}})")


def create(purpose: str, subject: str, *, expires_at: datetime, now: datetime) -> Link:
    """A new link as a row; its id goes into drafts. Raises ValueError when it ends before now."""
    if expires_at <= now:
        raise ValueError("A link ends after it begins.")
    return Link.objects.create(
        purpose=purpose,
        subject=subject,
        key_id=next(iter(settings.LINK_KEYS)),
        created_at=now,
        expires_at=expires_at,
    )


def reuse(purpose: str, subject: str, *, lives: timedelta, now: datetime) -> Link:
    """The subject's own link while a third of ``lives`` is left of it, else a new one.

    So all messages about one case carry one address, and none that ends soon after.
    """
    live = Link.objects.filter(
        purpose=purpose,
        subject=subject,
        revoked_at__isnull=True,
        expires_at__gt=now + lives / 3,
        key_id__in=list(settings.LINK_KEYS),
    )
    known = live.order_by("-expires_at", "-id").first()
    return known or create(purpose, subject, expires_at=now + lives, now=now)


def issue(purpose: str, subject: str, *, expires_at: datetime, now: datetime) -> str:
    """A new link's token."""
    return _token(create(purpose, subject, expires_at=expires_at, now=now))


def token_of(link_id: int) -> str:
    """The same token as before. Raises NotVisible when its key was taken out of LINK_KEYS."""
    return _token(Link.objects.get(id=link_id))


def url_of(link_id: int) -> str:
    """The whole address, for a message. Raises KeyError for a purpose that has no page."""
    return address(Link.objects.get(id=link_id))


def address(link: Link) -> str:
    """The same, of a link in hand."""
    return str(settings.BASE_URL) + reverse(topics.link_view(link.purpose), args=[_token(link)])


def resolve(token: str, purpose: str, now: datetime) -> str:
    """The subject that this token opens for this purpose.

    Raises NotVisible, always the same, for a token that is forged, expired, revoked, or for
    something else.
    """
    parts = _TOKEN.fullmatch(token)
    number = int(parts[1], 36) if parts else 0
    link = Link.objects.filter(id=number).first() if 0 < number < 2**63 else None
    # Compared for an unknown id too, so that the time tells nothing.
    key = settings.LINK_KEYS.get(link.key_id) if link else next(iter(settings.LINK_KEYS.values()))
    expected = _seal(key or b"", key_id=link.key_id if link else "", purpose=purpose, number=number)
    genuine = hmac.compare_digest(parts[2] if parts else "", expected)
    if link is None or not key or not genuine:
        raise errors.NotVisible
    if link.revoked_at is not None or link.expires_at <= now:
        raise errors.NotVisible
    return link.subject


def revoke(link_id: int, *, now: datetime) -> bool:
    """Ends one link at once; False if it had ended that way before."""
    return bool(Link.objects.filter(id=link_id, revoked_at__isnull=True).update(revoked_at=now))


def revoke_all(purpose: str, subject: str, *, now: datetime) -> int:
    """Ends every link of a subject for a purpose; how many."""
    live = Link.objects.filter(purpose=purpose, subject=subject, revoked_at__isnull=True)
    return live.update(revoked_at=now)


def _token(link: Link) -> str:
    key = settings.LINK_KEYS.get(link.key_id)
    if key is None:
        raise errors.NotVisible
    return _base36(link.id) + _seal(key, key_id=link.key_id, purpose=link.purpose, number=link.id)


def _seal(key: bytes, *, key_id: str, purpose: str, number: int) -> str:
    text = f"link\0{key_id}\0{purpose}\0{number}".encode()
    digest = hmac.new(key, text, hashlib.sha256).digest()[:16]
    return base64.b32encode(digest).decode().rstrip("=").lower()


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits
