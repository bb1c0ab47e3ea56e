"""Columns whose clear text exists only while somebody asks for it.

``contact.phone`` is a ``Sealed``: it prints, logs, pickles and serialises as ``•••`` and gives its
text through ``contact.phone.clear()`` alone, a call that can be searched for. A value is encrypted
the moment it is assigned, so an instance never holds clear text.

What the database is asked to store must be ciphertext made for that very row: ``save`` and
``bulk_create`` do that; ``update``, ``bulk_update`` and fixtures are refused (ClearTextError); a
column check refuses anything that is not a blob, whoever writes it.
"""

import json
import uuid
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import structlog
from django.conf import settings
from django.core import checks
from django.core.exceptions import FieldError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query_utils import DeferredAttribute

from aftersales.common import crypto
from aftersales.customers import normal

log = structlog.get_logger(__name__)

T = TypeVar("T")
M = TypeVar("M", bound=models.Model)
HIDDEN = "•••"


class ClearTextError(TypeError):
    """A write that would store clear text, or ciphertext of another row."""


class Ciphertext(bytes):
    """Bytes made by this module for the row they are about to be written to."""


class IndexValue(bytes):
    """A blind index made by this module."""


class Sealed(Generic[T]):
    """One encrypted value and the place it belongs to."""

    __slots__ = ("_blob", "_field", "_row")

    def __init__(self, blob: bytes, field: "EncryptedField[T]", row: uuid.UUID | None) -> None:
        self._blob = blob
        self._field = field
        self._row = row

    def clear(self) -> T:
        """The clear value. Raises a CryptoError if it was changed or moved, or its key is gone."""
        if self._row is None:
            raise crypto.UndecryptableError(
                f"{self._field}: read through values(); load the row to read it"
            )
        try:
            plain = crypto.decrypt(
                self._blob, context=self._field.context(self._row), keys=settings.PERSONAL_DATA_KEYS
            )
        except crypto.CryptoError as error:
            log.error(
                "personal_data.undecryptable",
                column=str(self._field),
                row=str(self._row),
                kind=type(error).__name__,
            )
            raise
        return self._field.from_plain(plain)

    # A template calls what it finds; this mark keeps it from calling clear().
    clear.alters_data = True  # type: ignore[attr-defined]

    def __reduce__(self) -> tuple[Any, ...]:
        return (Sealed, (self._blob, self._field, self._row))

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sealed):
            return NotImplemented
        return (self._blob, self._row) == (other._blob, other._row)

    def __hash__(self) -> int:
        return hash((self._blob, self._row))


class SealedAttribute(DeferredAttribute):
    """Encrypts on assignment; the instance's dictionary never sees clear text."""

    field: "EncryptedField[Any]"

    def __get__(self, instance: models.Model | None, cls: type | None = None) -> Any:
        value = super().__get__(instance, cls)
        if instance is not None and isinstance(value, Sealed) and value._row is None:
            # Bound on first use, because the row's key may itself be deferred.
            value = Sealed(value._blob, self.field, getattr(instance, self.field.row_key))
            instance.__dict__[self.field.attname] = value
        return value

    def __set__(self, instance: models.Model, value: object) -> None:
        loading = instance._state.db is None and isinstance(value, Sealed) and value._row is None
        if not loading:
            value = self.field.sealed_for(instance, value)
        instance.__dict__[self.field.attname] = value


class EncryptedField(models.Field, Generic[T]):  # type: ignore[type-arg]
    """Shared part of encrypted columns. ``row_key`` names the model's random, unchanging uuid."""

    descriptor_class = SealedAttribute
    empty_strings_allowed = False

    def __init__(self, *args: Any, row_key: str = "public_id", **kwargs: Any) -> None:
        self.row_key = row_key
        # Never in a form: a form would save what it shows, and it shows the mask.
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["editable"]
        if self.row_key != "public_id":
            kwargs["row_key"] = self.row_key
        return name, path, args, kwargs

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        problems = super().check(**kwargs)
        key = next((f for f in self.model._meta.fields if f.name == self.row_key), None)
        if not isinstance(key, models.UUIDField) or not key.unique or not key.has_default():
            problems.append(
                checks.Error(
                    f"It needs a unique UUIDField {self.row_key!r} with a default.",
                    hint="It binds the ciphertext to its row and must be known before the insert.",
                    obj=self,
                    id="customers.E001",
                )
            )
        elif self.model._meta.fields.index(key) > self.model._meta.fields.index(self):
            problems.append(
                checks.Error(
                    f"Declare {self.row_key!r} above this column.", obj=self, id="customers.E002"
                )
            )
        if self.primary_key or self.unique or self.has_default():
            problems.append(
                checks.Error("No key, unique rule or default here.", obj=self, id="customers.E003")
            )
        return problems

    # --- values --------------------------------------------------------------------------------

    def to_plain(self, value: T) -> bytes:
        raise NotImplementedError

    def from_plain(self, plain: bytes) -> T:
        raise NotImplementedError

    def context(self, row: uuid.UUID) -> str:
        """What the ciphertext is bound to: table, column, row."""
        return f"{self.model._meta.db_table}:{self.column}:{row}"

    def seal(self, value: T, row: uuid.UUID) -> bytes:
        return crypto.encrypt(
            self.to_plain(value), context=self.context(row), keys=settings.PERSONAL_DATA_KEYS
        )

    def sealed_for(self, instance: models.Model, value: object) -> Sealed[T] | None:
        """``value`` as this row's own: clear text and another row's value are encrypted for it."""
        if value is None:
            return None
        row: uuid.UUID = getattr(instance, self.row_key)
        if isinstance(value, Sealed):
            if value._field == self and value._row == row:
                return value
            value = value.clear()
        return Sealed(self.seal(cast(T, value), row), self, row)

    # --- Django --------------------------------------------------------------------------------

    def get_internal_type(self) -> str:
        return "BinaryField"

    def db_check(self, connection: BaseDatabaseWrapper) -> str:
        """Refuses whatever is not a blob, so that not even raw SQL stores clear text by mistake."""
        column = connection.ops.quote_name(self.column or "")
        return (
            f"substring({column} from 1 for 1) = '\\x01'::bytea"
            f" AND octet_length({column}) >= {crypto.SHORTEST}"
        )

    def pre_save(self, model_instance: models.Model, add: bool) -> Ciphertext | None:
        # Sealed again if the row's key was changed meanwhile, as when an instance is copied.
        sealed = self.sealed_for(model_instance, getattr(model_instance, self.attname))
        if sealed is None:
            return None
        if add:
            sealed.clear()  # a value taken from another row by values() must not be stored here
        return Ciphertext(sealed._blob)

    def get_db_prep_value(
        self, value: object, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> object:
        if value is None:
            return None
        if not isinstance(value, Ciphertext):
            raise ClearTextError(f"{self}: assign it to a loaded row and save() that row.")
        return bytes(value)

    def from_db_value(
        self, value: Any, expression: object, connection: BaseDatabaseWrapper
    ) -> Sealed[T] | None:
        return None if value is None else Sealed(bytes(value), self, None)

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self} is encrypted: it can be tested for null, nothing else.")
        return super().get_lookup(lookup_name)

    def get_transform(self, lookup_name: str) -> Any:
        raise FieldError(f"{self} is encrypted: it can be tested for null, nothing else.")

    def value_to_string(self, obj: models.Model) -> str:
        return HIDDEN


class EncryptedTextField(EncryptedField[str]):
    """Text, encrypted. Null where nothing is known."""

    if TYPE_CHECKING:
        _pyi_private_set_type: str | Sealed[str]
        _pyi_private_get_type: Sealed[str]

    def to_plain(self, value: object) -> bytes:
        if not isinstance(value, str):
            raise TypeError(f"{self} takes text.")
        return value.encode()

    def from_plain(self, plain: bytes) -> str:
        return plain.decode()


class EncryptedJSONField(EncryptedField[Any]):
    """Anything that JSON can hold, encrypted; SQL null where nothing is known."""

    if TYPE_CHECKING:
        _pyi_private_set_type: Any
        _pyi_private_get_type: Sealed[Any]

    def to_plain(self, value: object) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def from_plain(self, plain: bytes) -> Any:
        return json.loads(plain)


class BlindIndexField(models.BinaryField):  # type: ignore[type-arg]
    """The keyed fingerprint of the encrypted column ``of``, computed from it at every write.

    Nothing else can set it: assignments are overwritten by ``save`` and refused by ``update``.
    """

    def __init__(
        self, *args: Any, of: str, normalise: Callable[[str], str] | None = None, **kwargs: Any
    ) -> None:
        self.of = of
        self.normalise = normalise
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        # How a value is normalised is code, not schema; migrations need not import it.
        return name, path, args, kwargs | {"of": self.of}

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        problems = super().check(**kwargs)
        if not issubclass(self.model, SealedModel):
            problems.append(
                checks.Error(
                    "A blind index needs SealedModel: save(update_fields) would let it drift.",
                    obj=self,
                    id="customers.E004",
                )
            )
        return problems

    def candidates(self, text: str) -> list[IndexValue]:
        """What rows with this value may hold: one fingerprint per key of the ring, active first."""
        if self.normalise is None:
            raise TypeError("A model of a migration cannot look up.")
        return [
            IndexValue(value)
            for value in crypto.blind_indexes(
                self.normalise(text),
                column=f"{self.model._meta.db_table}:{self.of}",
                keys=settings.BLIND_INDEX_KEY,
            )
        ]

    def pre_save(self, model_instance: models.Model, add: bool) -> IndexValue | None:
        sealed: Sealed[str] | None = getattr(model_instance, self.of)
        value = None if sealed is None else self.candidates(sealed.clear())[0]
        setattr(model_instance, self.attname, value)
        return value

    def get_db_prep_value(
        self, value: object, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> object:
        if value is not None and not isinstance(value, IndexValue):
            raise ClearTextError(f"{self}: follows {self.of!r}; look up with candidates().")
        return super().get_db_prep_value(value, connection, prepared)


class CodeField(models.CharField):  # type: ignore[type-arg]
    """A model or serial as printed, in half-width letters and without spaces at the ends.

    Stored in that one form through every door (save, update, bulk_create), and looked up in it;
    for ``iexact`` pass ``normal.halfwidth`` of what is looked for.
    """

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return normal.halfwidth(value) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        return self.to_python(super().get_prep_value(value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = self.to_python(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, value)
        return value


class SealedQuerySet(models.QuerySet[M]):
    """Refuses the one bulk write that would put ciphertext made for one row into another."""

    def bulk_create(
        self,
        objs: Iterable[M],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[M]:
        sealed = {f.name for f in self.model._meta.fields if isinstance(f, SEALED)}
        if update_conflicts and sealed & set(update_fields or ()):
            raise ClearTextError("An upsert would move ciphertext into another row.")
        return super().bulk_create(
            objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
        )


class SealedModel(models.Model):
    """Base of a model with encrypted columns and their indexes; keeps the two together."""

    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)

    class Meta:
        abstract = True

    def save(
        self,
        *args: Any,
        update_fields: Iterable[str] | None = None,
        **kwargs: Any,
    ) -> None:
        if update_fields is not None:
            names = set(update_fields)
            update_fields = names | {
                field.name
                for field in self._meta.concrete_fields
                if isinstance(field, BlindIndexField) and field.of in names
            }
        super().save(*args, update_fields=update_fields, **kwargs)


SEALED = (EncryptedField, BlindIndexField)


def candidates(model: type[models.Model], index: str, text: str) -> list[IndexValue]:
    """What rows whose value equals ``text`` may hold in ``index``; see BlindIndexField."""
    field = model._meta.get_field(index)
    if not isinstance(field, BlindIndexField):
        raise TypeError(f"{index} is no blind index.")
    return field.candidates(text)
