"""Encryption of personal data: AES-256-GCM bound to its place, and a keyed index for equality.

Pure: keys are passed in, the first of a ring is used for new values, the others only read.

A blob is ``version (1) | length of key id (1) | key id | nonce (12) | ciphertext and tag``. The
header and the ``context`` (``table:column:row``) are authenticated, so a blob that is cut, changed,
or moved to another row or column does not decrypt. Random nonces allow 2^32 values per key.
"""

import hmac
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = b"\x01"
NONCE_LENGTH = 12
TAG_LENGTH = 16
# 128 bits: a unique constraint on order numbers leans on the index, so it may not collide.
INDEX_LENGTH = 16
SHORTEST = len(VERSION) + 1 + 1 + NONCE_LENGTH + TAG_LENGTH

Keyring = Mapping[str, bytes]


class CryptoError(Exception):
    """A stored value cannot be turned into clear text. The message never holds any of it."""


class UndecryptableError(CryptoError):
    """Changed, cut, or moved from the row or column it was written for."""


class UnknownKeyError(CryptoError):
    """Written with a key that is no longer, or not yet, in the ring."""


def active_prefix(keys: Keyring) -> bytes:
    """What every blob and every index made now begins with, so that SQL can find older ones."""
    return _tagged(next(iter(keys)))


def encrypt(plain: bytes, *, context: str, keys: Keyring) -> bytes:
    """``plain`` under the active key, readable only with the same ``context``."""
    key_id, key = next(iter(keys.items()))
    header = VERSION + _tagged(key_id)
    nonce = os.urandom(NONCE_LENGTH)
    return header + nonce + AESGCM(key).encrypt(nonce, plain, header + context.encode())


def decrypt(blob: bytes, *, context: str, keys: Keyring) -> bytes:
    """The clear bytes. Raises UnknownKeyError, or UndecryptableError for all but the original."""
    if len(blob) < SHORTEST or blob[:1] != VERSION:
        raise UndecryptableError(f"{context}: not an encrypted value")
    start = 2 + blob[1]
    header, nonce = blob[:start], blob[start : start + NONCE_LENGTH]
    key = keys.get(header[2:].decode("ascii", "replace"))
    if key is None:
        raise UnknownKeyError(f"{context}: the key it was encrypted with is not in the ring")
    try:
        return AESGCM(key).decrypt(nonce, blob[start + NONCE_LENGTH :], header + context.encode())
    except (InvalidTag, ValueError) as error:
        raise UndecryptableError(f"{context}: changed, cut or moved") from error


def blind_index(value: str, *, column: str, keys: Keyring) -> bytes:
    """A keyed fingerprint of an already normalised value, different in every column."""
    return blind_indexes(value, column=column, keys=keys)[0]


def blind_indexes(value: str, *, column: str, keys: Keyring) -> list[bytes]:
    """The fingerprint under each key of the ring, the active one first: what a look-up must try."""
    message = column.encode() + b"\0" + value.encode()
    return [
        _tagged(key_id) + hmac.digest(key, message, "sha256")[:INDEX_LENGTH]
        for key_id, key in keys.items()
    ]


def _tagged(key_id: str) -> bytes:
    encoded = key_id.encode("ascii")
    return bytes([len(encoded)]) + encoded
