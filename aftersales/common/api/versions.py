"""Lost updates: an answer carries its version as ETag, a change may say which one it read."""

import re

from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from aftersales.common import errors

TAG = re.compile(r'(W/)?"([^"]*)"')


def etag(version: int) -> str:
    return f'"{version}"'


def expected_version(request: Request) -> int | None:
    """The version that ``If-Match`` names; None without the header or for ``*``.

    Workflow compares it under its lock and raises Stale. Raises DomainError (400) for a header
    that is not one tag, Stale for a weak tag or one that we never gave.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    found = TAG.fullmatch(header.strip())
    if found is None:
        raise errors.DomainError(_('Send one version, as in If-Match: "3".'), code="bad_if_match")
    weak, value = found.groups()
    if weak or not (value.isascii() and value.isdecimal() and len(value) <= 9):
        raise errors.Stale()
    return int(value)


def check(expected: int | None, present: int) -> None:
    """Raises Stale when the caller read another version; to be called with the row locked."""
    if expected is not None and expected != present:
        raise errors.Stale(version=present)
