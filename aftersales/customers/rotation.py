"""Moves every encrypted value, and every blind index, to the first key of its ring.

In batches that commit, so a stop costs one batch and the next run goes on; old and new key are both
readable meanwhile. Covers the encrypted columns of every app.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pgtrigger
import structlog
from django.apps import apps
from django.conf import settings
from django.db import connection, models, transaction

from aftersales.common import crypto
from aftersales.customers.fields import (
    BlindIndexField,
    Ciphertext,
    EncryptedField,
    Sealed,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Table:
    """One model with encrypted columns."""

    model: type[models.Model]
    sealed: Sequence[EncryptedField[Any]]
    indexes: Sequence[BlindIndexField]

    @property
    def name(self) -> str:
        return self.model._meta.db_table


def tables() -> Iterator[Table]:
    """Every table of the project that holds an encrypted column."""
    for model in apps.get_models():
        fields = model._meta.concrete_fields
        sealed = [field for field in fields if isinstance(field, EncryptedField)]
        if sealed and not model._meta.proxy:
            yield Table(model, sealed, [f for f in fields if isinstance(f, BlindIndexField)])


def rotate_batch(table: Table, *, size: int, skip: Sequence[int] = ()) -> tuple[int, list[int]]:
    """Rewrite up to ``size`` rows under the active keys: how many, and the ids that cannot be read.

    Locks the rows and passes over those in other hands. Append-only tables are let through: the
    clear value stays the same.
    """
    unreadable: list[int] = []
    done = 0
    with transaction.atomic(), pgtrigger.ignore():
        for row in _behind(table, size=size, skip=skip):
            try:
                changes = _rewritten(table, row)
            except crypto.CryptoError:  # logged where it was raised
                unreadable.append(row.pk)
                continue
            table.model._base_manager.filter(pk=row.pk).update(**changes)
            done += 1
    return done, unreadable


def count_behind(table: Table) -> int:
    """Rows that still hold a value or an index of an older key."""
    where, values = _condition(table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM {_quoted(table.name)} WHERE {where}",  # noqa: S608 (own names)
            values,
        )
        return int(cursor.fetchone()[0])


def _behind(table: Table, *, size: int, skip: Sequence[int]) -> list[models.Model]:
    where, values = _condition(table)
    key = _quoted(table.model._meta.pk.column)
    return list(
        table.model._base_manager.raw(
            f"SELECT * FROM {_quoted(table.name)} WHERE ({where}) AND {key} <> ALL(%s)"  # noqa: S608
            f" ORDER BY {key} LIMIT %s FOR NO KEY UPDATE SKIP LOCKED",
            [*values, list(skip), size],
        )
    )


def _condition(table: Table) -> tuple[str, list[bytes]]:
    """A column begins with something else than what the active key writes."""
    terms: list[str] = []
    values: list[bytes] = []
    columns = [
        (field, crypto.VERSION + crypto.active_prefix(settings.PERSONAL_DATA_KEYS))
        for field in table.sealed
    ] + [(field, crypto.active_prefix(settings.BLIND_INDEX_KEY)) for field in table.indexes]
    for field, prefix in columns:
        terms.append(f"substring({_quoted(field.column)} from 1 for {len(prefix)}) <> %s")
        values.append(prefix)
    return " OR ".join(terms), values


def _rewritten(table: Table, row: models.Model) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for field in table.sealed:
        value = getattr(row, field.attname)
        if isinstance(value, Sealed):
            row_key = getattr(row, field.row_key)
            changes[field.attname] = Ciphertext(field.seal(value.clear(), row_key))
    for index in table.indexes:
        value = getattr(row, index.of)
        if isinstance(value, Sealed):
            changes[index.attname] = index.candidates(value.clear())[0]
    return changes


def _quoted(name: str | None) -> str:
    return connection.ops.quote_name(name or "")
