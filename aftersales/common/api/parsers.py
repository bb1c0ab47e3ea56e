"""JSON as we accept it: bounded, one meaning only, and nothing the database cannot store."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.http import UnreadablePostError
from django.utils.translation import gettext_lazy as _
from rest_framework import parsers
from rest_framework.exceptions import ParseError
from rest_framework.utils import json as strict_json

from aftersales.common import errors
from aftersales.common.api import problems

MAX_DEPTH = 20
NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")
UNSTORABLE = _("Remove the characters that cannot be stored.")


class JSONParser(parsers.JSONParser):
    """Refuses what is too deep, repeated names, NaN, NUL bytes and lone surrogates.

    What is too large Django refused before (``DATA_UPLOAD_MAX_MEMORY_SIZE``).
    """

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            parsed = json.loads(
                stream.read().decode("utf-8"),
                object_pairs_hook=_no_repeats,
                parse_constant=strict_json.strict_constant,
            )
        except (ValueError, RecursionError) as error:
            raise ParseError() from error
        if found := list(_unstorable(parsed)):
            raise errors.Invalid(*found)
        return parsed


class UploadParser(parsers.MultiPartParser):
    """One file of at most ``max_size`` bytes, with its fields.

    Django puts a larger file on the disk first and lets it be judged then; here the length that
    the request declares (and is cut at) is judged before a byte is read.
    """

    max_size: int
    FRAME = 64 * 1024  # boundaries, heads and short fields

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        declared = int((parser_context or {})["request"].META["CONTENT_LENGTH"])
        if declared > self.max_size + self.FRAME:
            raise errors.TooLarge()
        try:
            return super().parse(stream, media_type, parser_context)
        except UnreadablePostError as error:  # the caller hung up
            raise ParseError() from error
        except OSError as error:
            raise errors.StorageUnavailable(retry_after=60) from error


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers of ``{"a": 1, "a": 2}`` need not agree, so nobody gets to read it."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("A name stands twice in one object.")
    return found


def _unstorable(root: Any) -> Iterator[errors.FieldError]:
    """A FieldError for each text or depth that PostgreSQL or a reader cannot take."""
    waiting: list[tuple[str, int, Any]] = [("", 0, root)]
    while waiting:
        pointer, depth, value = waiting.pop()
        if depth > MAX_DEPTH:
            yield errors.FieldError(pointer, "too_deep", _("This is nested too deeply."))
        elif isinstance(value, str):
            if not is_storable(value):
                yield errors.FieldError(pointer, "unstorable_text", UNSTORABLE)
        elif isinstance(value, dict):
            for name, inner in value.items():
                if not is_storable(name):
                    yield errors.FieldError(pointer, "unstorable_text", UNSTORABLE)
                else:
                    waiting.append((f"{pointer}/{problems.escape(name)}", depth + 1, inner))
        elif isinstance(value, list):
            waiting.extend(
                (f"{pointer}/{index}", depth + 1, inner) for index, inner in enumerate(value)
            )


def is_storable(text: str) -> bool:
    """PostgreSQL takes neither NUL nor half of a surrogate pair."""
    return NOT_STORABLE.search(text) is None
