"""Second-factor secrets under the active key: what a key rotation finds in allauth's rows.

allauth keeps them inside a JSON column, so the walk over encrypted columns does not find them.
"""

import base64
from collections.abc import Callable
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction

from aftersales.common import crypto

SECRETS = ("secret", "seed", "migrated_codes")


def count_behind() -> int:
    """Second factors with a secret that an older key encrypts."""
    return sum(map(_is_behind, Authenticator.objects.order_by("pk")))


@transaction.atomic
def reseal_secrets() -> int:
    """Encrypt every such secret with the active key; returns how many factors changed.

    Locks the rows. Raises CryptoError, changing nothing, when one cannot be read.
    """
    adapter = get_adapter()
    changed = 0
    for factor in Authenticator.objects.select_for_update().order_by("pk"):
        if _is_behind(factor):
            factor.data = _each(factor.data, lambda text: adapter.encrypt(adapter.decrypt(text)))
            factor.save(update_fields=["data"])
            changed += 1
    return changed


def _is_behind(factor: Authenticator) -> bool:
    active = crypto.VERSION + crypto.active_prefix(settings.PERSONAL_DATA_KEYS)
    blobs: list[bytes] = []
    _each(factor.data, lambda text: blobs.append(base64.b64decode(text)))
    return any(not blob.startswith(active) for blob in blobs)


def _each(data: dict[str, Any], change: Callable[[str], Any]) -> dict[str, Any]:
    """``data`` with each of its encrypted texts put through ``change``."""
    return {
        name: value
        if name not in SECRETS
        else [change(text) for text in value]
        if isinstance(value, list)
        else change(value)
        for name, value in data.items()
    }
