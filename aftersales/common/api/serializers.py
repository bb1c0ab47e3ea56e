"""Input as declared: unknown names, read-only names and other JSON types are refused, not bent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from aftersales.common import errors
from aftersales.common.api import problems

# DRF would take "true" for a flag, "5" for a number and 5 for a text; the document says otherwise.
JSON_TYPES: list[tuple[type[serializers.Field[Any, Any, Any, Any]], tuple[type, ...]]] = [
    (serializers.BooleanField, (bool,)),
    (serializers.IntegerField, (int,)),
    (serializers.FloatField, (int, float)),
    (serializers.CharField, (str,)),
    (serializers.ChoiceField, (str,)),
    (serializers.DateTimeField, (str,)),
    (serializers.DateField, (str,)),
    (serializers.UUIDField, (str,)),
]
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
PAGING = {"cursor", "limit"}


class StrictSerializer(serializers.Serializer[Any]):
    """The base of every input: it says what it takes, and takes nothing else."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            wrong = self._unknown(data)
            # A query and a form have text only; there DRF may turn it into numbers and flags.
            if not isinstance(data, QueryDict) and not self.context.get("from_query"):
                wrong |= self._wrong_types(data)
            if wrong:
                raise ValidationError(wrong | self._other_errors(data, skip=set(wrong)))
        return super().to_internal_value(data)

    def _unknown(self, data: Mapping[str, Any]) -> dict[str, Any]:
        known = {field.field_name for field in self._writable_fields}
        detail = ErrorDetail(str(_("This field is not known here.")), code="unknown_field")
        return {name: [detail] for name in data if name not in known}

    def _wrong_types(self, data: Mapping[str, Any]) -> dict[str, Any]:
        detail = ErrorDetail(str(_("This has another JSON type than expected.")), code="wrong_type")
        return {
            str(field.field_name): [detail]
            for field in self._writable_fields
            if data.get(str(field.field_name)) is not None
            and not _fits(field, data[str(field.field_name)])
        }

    def _other_errors(self, data: Mapping[str, Any], skip: set[str]) -> dict[str, Any]:
        """What else is wrong, so that one answer names every fault."""
        rest = {name: value for name, value in data.items() if name not in skip}
        try:
            super().to_internal_value(rest)
        except ValidationError as error:
            found = error.detail
            if isinstance(found, dict):
                return {name: inner for name, inner in found.items() if name not in skip}
        return {}


def _fits(field: Any, value: Any) -> bool:
    for kind, types in JSON_TYPES:
        if isinstance(field, kind):
            return isinstance(value, types) and (bool in types or not isinstance(value, bool))
    return True


class InstantField(serializers.DateTimeField):
    """A moment with its offset; without one nobody knows which moment is meant."""

    default_error_messages = {
        "no_offset": _("Say the offset too, as in 2026-01-31T09:00:00+08:00."),
        "impossible": _("This moment is not possible."),
    }

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            self.fail("no_offset")
        try:
            moment = value.astimezone(UTC)
        except OverflowError:
            self.fail("impossible")
        if not EARLIEST <= moment < LATEST:
            self.fail("impossible")
        return moment


Read = TypeVar("Read", bound=serializers.Serializer[Any])


def read_body(serializer: type[Read], request: Request) -> dict[str, Any]:
    """The checked body. Raises Invalid with a JSON pointer for each fault."""
    return _read(serializer(data=request.data, context={"request": request}))


def read_query(serializer: type[Read], request: Request) -> dict[str, Any]:
    """The checked query; its pointers read ``?name``. Paging parameters belong to the paginator.

    Only a ListField takes a name said more than once.
    """
    query = request.query_params
    lists = {
        name
        for name, field in serializer().fields.items()
        if isinstance(field, serializers.ListField | serializers.MultipleChoiceField)
    }
    given = {
        name: values if name in lists else values[-1]
        for name, values in query.lists()
        if name not in PAGING
    }
    repeated = [name for name in given if name not in lists and len(query.getlist(name)) > 1]
    if repeated:
        detail = _("Say this once only.")
        raise errors.Invalid(
            *(errors.FieldError(f"?{name}", "repeated", detail) for name in repeated)
        )
    try:
        return _read(serializer(data=given, context={"request": request, "from_query": True}))
    except ValidationError as error:
        raise errors.Invalid(
            *(
                errors.FieldError(f"?{found.pointer.lstrip('/')}", found.code, found.detail)
                for found in problems.field_errors(error.detail)
            )
        ) from error


def _read(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    checked: dict[str, Any] = serializer.validated_data
    return checked
