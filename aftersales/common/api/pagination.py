"""Pages by key, never by offset and never counted: the thousandth page costs what the first does.

A view names its order in ``keyset``, as ("-created_at", "-id"): one direction, the last column
unique, only the first may be null (its nulls come last). It needs an index over those columns.
"""

import base64
import binascii
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db.models import F, Field, Model, QuerySet, Value
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from aftersales.common import errors

DEFAULT_LIMIT = 50
MAX_LIMIT = 250
NONCE_LENGTH = 12

# A queryset of any model: the paginator serves them all.
Rows = QuerySet[Any]


@dataclass(frozen=True)
class Position:
    """The keys of the row that a page borders on, and on which side of it the page lies."""

    values: list[Any]
    backward: bool


class Keyset:
    """One ordered way through a model's rows."""

    def __init__(self, model: type[Model], ordering: Sequence[str]) -> None:
        if len({name.startswith("-") for name in ordering}) != 1:
            raise ValueError("A keyset runs in one direction.")
        self.descending = ordering[0].startswith("-")
        self.names = [name.removeprefix("-") for name in ordering]
        fields = [model._meta.get_field(name) for name in self.names]
        self.fields = [field for field in fields if isinstance(field, Field)]
        if any(field.null for field in self.fields[1:]):
            raise ValueError("Only the first column of a keyset may be null.")

    def rows(self, queryset: Rows, position: Position | None, count: int) -> list[Any]:
        """At most ``count`` rows beyond ``position``, in the order of the walk.

        Rows whose first key is null are a second walk after the first: as two index scans, for
        no index serves "greater than this, or null" at once.
        """
        backward = position is not None and position.backward
        downward = self.descending != backward
        found: list[Any] = []
        for part, bound in self._parts(queryset, position, backward):
            if bound is not None:
                part = part.filter(self._beyond(bound, downward))
            order = [F(name).desc() if downward else F(name).asc() for name in self.names]
            found += part.order_by(*order)[: count - len(found)]
            if len(found) >= count:
                break
        return found

    def _parts(
        self, queryset: Rows, position: Position | None, backward: bool
    ) -> list[tuple[Rows, list[Any] | None]]:
        values = position.values if position else None
        if not self.fields[0].null:
            return [(queryset, values)]
        null = f"{self.names[0]}__isnull"
        filled, empty = queryset.filter(**{null: False}), queryset.filter(**{null: True})
        if values is None:
            return [(filled, None), (empty, None)]
        in_empty = values[0] is None
        if backward:
            return [(empty, values), (filled, None)] if in_empty else [(filled, values)]
        return [(empty, values)] if in_empty else [(filled, values), (empty, None)]

    def _beyond(self, values: list[Any], downward: bool) -> TupleGreaterThan | TupleLessThan:
        skip = 1 if values[0] is None else 0
        lookup = TupleLessThan if downward else TupleGreaterThan
        left = Tuple(*(F(name) for name in self.names[skip:]))
        right = tuple(
            Value(value, output_field=field)
            for value, field in zip(values[skip:], self.fields[skip:], strict=True)
        )
        return lookup(left, right)

    def values_of(self, row: Any) -> list[Any]:
        return [getattr(row, name) for name in self.names]

    def dump(self, values: list[Any]) -> list[Any]:
        # Not Django's encoder: it cuts microseconds, and a page would begin with its own border.
        return [value.isoformat() if isinstance(value, date) else value for value in values]

    def load(self, values: list[Any]) -> list[Any]:
        return [field.to_python(value) for value, field in zip(values, self.fields, strict=True)]


class KeysetPagination(BasePagination):
    """``?cursor=&limit=``; answers {results, next, previous} and a Link header."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        self.keyset = Keyset(queryset.model, view.keyset)
        self.limit = read_limit(request)
        # A cursor belongs to one list: path, order and filters are bound into it.
        filters = sorted(
            (name, value)
            for name, values in request.query_params.lists()
            for value in values
            if name not in {"cursor", "limit"}
        )
        self.binding = json.dumps([request.path, self.keyset.names, filters]).encode()
        position = self._position()
        rows = self.keyset.rows(queryset, position, self.limit + 1)
        page, more = rows[: self.limit], len(rows) > self.limit
        backward = position is not None and position.backward
        if backward:
            page.reverse()
        self.next = page and (more or backward) and self._url(page[-1], backward=False)
        self.previous = (
            page
            and (more if backward else position is not None)
            and self._url(page[0], backward=True)
        )
        return page

    def get_paginated_response(self, data: Any) -> Response:
        response = Response(
            {"results": data, "next": self.next or None, "previous": self.previous or None}
        )
        links = [f'<{url}>; rel="{rel}"' for rel, url in self._neighbours() if url]
        if links:
            response["Link"] = ", ".join(links)
        return response

    def _neighbours(self) -> list[tuple[str, Any]]:
        return [("next", self.next), ("previous", self.previous)]

    def _position(self) -> Position | None:
        token = self.request.query_params.get("cursor")
        if not token:
            return None
        try:
            backward, *values = json.loads(_open(token, self.binding))
            return Position(self.keyset.load(values), bool(backward))
        except (ValueError, InvalidTag, binascii.Error) as error:
            raise errors.DomainError(
                _("This page link is not valid (any more). Begin with the first page."),
                code="bad_cursor",
            ) from error

    def _url(self, row: Any, *, backward: bool) -> str:
        payload = json.dumps([int(backward), *self.keyset.dump(self.keyset.values_of(row))])
        query = self.request.query_params.copy()
        query["cursor"] = _seal(payload.encode(), self.binding)
        return f"{settings.BASE_URL}{self.request.path}?{query.urlencode()}"

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": link, "previous": link},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "schema": {"type": "string"},
                "description": "Opaque; taken from next or previous of another page.",
            },
            {
                "name": "limit",
                "in": "query",
                "required": False,
                "schema": {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
                "description": f"Rows a page; more than {MAX_LIMIT} are cut to {MAX_LIMIT}.",
            },
        ]


def read_limit(request: Request) -> int:
    """Rows a page. Raises Invalid for what is no positive number; too many are cut."""
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) < 1:
        raise errors.Invalid(
            errors.FieldError("?limit", "invalid", _("Write a whole number from 1 to 250."))
        )
    return min(int(text), MAX_LIMIT)


def _cipher() -> AESGCM:
    return AESGCM(salted_hmac("aftersales.cursor", b"", algorithm="sha256").digest())


def _seal(payload: bytes, binding: bytes) -> str:
    """Encrypted, not only signed: the keys inside count our rows and belong to nobody else."""
    nonce = os.urandom(NONCE_LENGTH)
    sealed = nonce + _cipher().encrypt(nonce, payload, binding)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _open(token: str, binding: bytes) -> bytes:
    sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    return _cipher().decrypt(sealed[:NONCE_LENGTH], sealed[NONCE_LENGTH:], binding)
