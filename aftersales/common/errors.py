"""Domain errors: what workflow raises, and what HTML and REST translate at their edge.

Each has a stable English ``code``, an HTTP status, and a text for a person in the reader's
language (a lazy translation). The API renders them as RFC 9457 problems.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise


@dataclass(frozen=True)
class FieldError:
    """One wrong field: ``pointer`` is a JSON pointer ("/customer/phone"), ``detail`` says why and
    what to do."""

    pointer: str
    code: str
    detail: Text


class DomainError(Exception):
    """A refusal that a person can understand; nothing was changed."""

    status = 400
    code = "error"
    detail: Text = _("This is not possible.")

    def __init__(
        self, detail: Text | None = None, *, code: str | None = None, **extra: Any
    ) -> None:
        self.detail = detail if detail is not None else self.detail
        self.code = code or self.code
        self.extra = extra
        super().__init__(self.code)


class NotAllowed(DomainError):
    """Visible, but not for this person to do."""

    status, code = 403, "not_allowed"
    detail = _("You may see this but not do it. Ask the owner of the case or your supervisor.")


class NotVisible(DomainError):
    """Unknown, or not for the asker's eyes; the two answers are identical."""

    status, code = 404, "not_found"
    detail = _("There is nothing here, or it is not yours to see.")


class WrongState(DomainError):
    """The row's state has no such event; ``allowed_events`` lists what it has."""

    status, code = 409, "wrong_state"
    detail = _("The case has moved on; this step is no longer open.")

    def __init__(
        self, *, allowed_events: Sequence[str], detail: Text | None = None, code: str | None = None
    ) -> None:
        super().__init__(detail, code=code, allowed_events=sorted(allowed_events))


class Conflict(DomainError):
    """The same thing exists already, or is in somebody's hands right now."""

    status, code = 409, "conflict"
    detail = _("This exists already.")


class Gone(DomainError):
    """It was there for its own customer, and its time has passed."""

    status, code = 410, "gone"
    detail = _("This offer has ended.")


class Stale(DomainError):
    """Somebody changed the row since the caller read it; ``version`` is the present one."""

    status, code = 412, "stale_version"
    detail = _("Somebody else changed this meanwhile. Read it again, then repeat your change.")


class TooLarge(DomainError):
    status, code = 413, "too_large"
    detail = _("This is too large.")


class WrongType(DomainError):
    status, code = 415, "wrong_type"
    detail = _("This type of content is not accepted.")


class Invalid(DomainError):
    """Parsed, but wrong: one FieldError a fault."""

    status, code = 422, "invalid"
    detail = _("Some fields need another look.")

    def __init__(
        self, *errors: FieldError, detail: Text | None = None, code: str | None = None, **extra: Any
    ) -> None:
        super().__init__(detail, code=code, **extra)
        self.errors = list(errors)


class TooMany(DomainError):
    """A temporary limit; ``retry_after`` in seconds."""

    status, code = 429, "too_many"
    detail = _("Too many tries. Please wait a little.")

    def __init__(self, *, retry_after: int, detail: Text | None = None) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.retry_after = retry_after


class StorageUnavailable(DomainError):
    """Files cannot be written or read: the disk is full, or away."""

    status, code = 503, "storage_unavailable"
    detail = _("Files cannot be stored or read at the moment. Please repeat a little later.")
