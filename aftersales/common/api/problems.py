"""One error body for the whole API (RFC 9457), whatever kind of exception was raised."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from django.core import exceptions as django_errors
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions as drf
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from aftersales.common import errors

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
LOCK_NOT_AVAILABLE = "55P03"

TEXTS = {
    "malformed": _("The request could not be read. Send valid JSON."),
    "not_authenticated": _("A valid key is needed: send Authorization: Bearer <key>."),
    "method_not_allowed": _("This address does not know the method."),
    "not_acceptable": _("This address answers in JSON only."),
    "busy": _("Somebody else is working on this right now. Please repeat in a moment."),
    "unavailable": _("The service is not available at the moment. Please repeat in a moment."),
    "internal": _("Something went wrong on our side. We have a record of it."),
}


class Unavailable(errors.DomainError):
    """The database is busy or away; ``retry_after`` in seconds."""

    status, code = 503, "unavailable"


class Internal(errors.DomainError):
    """A fault of ours: says nothing but the request's id."""

    status, code = 500, "internal"
    detail = TEXTS["internal"]


def handle(exc: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler: every exception becomes a problem, a surprise a silent 500."""
    request: HttpRequest = context["request"]
    problem = as_domain_error(exc)
    if isinstance(problem, Internal):
        logger.error("request_failed", exc_info=exc)
    return Response(
        body(problem, request),
        status=problem.status,
        headers=headers(problem, exc),
        content_type=CONTENT_TYPE,
    )


def as_response(problem: errors.DomainError, request: HttpRequest) -> HttpResponse:
    """The same answer outside of DRF: for unknown paths and for middleware."""
    return HttpResponse(
        JSONRenderer().render(body(problem, request)),
        status=problem.status,
        headers=headers(problem),
        content_type=CONTENT_TYPE,
    )


def body(problem: errors.DomainError, request: HttpRequest) -> dict[str, Any]:
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": str(problem.detail),
        "instance": request.path,
        "code": problem.code,
        "request_id": request_id(),
    }
    if isinstance(problem, errors.Invalid):
        content["errors"] = [
            {"pointer": error.pointer, "code": error.code, "detail": str(error.detail)}
            for error in problem.errors
        ]
    # The standard members win over whatever an error carries besides.
    return {**problem.extra, **content}


def request_id() -> str:
    """The id that the log lines of this request carry; the answer's X-Request-ID is the same."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def headers(problem: errors.DomainError, exc: Exception | None = None) -> dict[str, str]:
    found: dict[str, str] = {}
    if "retry_after" in problem.extra:
        found["Retry-After"] = str(problem.extra["retry_after"])
    if auth_header := getattr(exc, "auth_header", None):
        found["WWW-Authenticate"] = auth_header
    return found


def as_domain_error(exc: Exception) -> errors.DomainError:
    """Translate any exception; what is not expected becomes ``Internal``."""
    if isinstance(exc, errors.DomainError):
        return exc
    if isinstance(exc, drf.APIException):
        return _from_drf(exc)
    if isinstance(exc, Http404):
        return errors.NotVisible()
    if isinstance(exc, django_errors.PermissionDenied):
        return errors.NotAllowed()
    if isinstance(exc, django_errors.ValidationError):
        return errors.Invalid(*_model_errors(exc))
    if isinstance(
        exc,
        django_errors.RequestDataTooBig
        | django_errors.TooManyFieldsSent
        | django_errors.TooManyFilesSent,
    ):
        return errors.TooLarge()
    if isinstance(exc, django_errors.SuspiciousOperation | django_errors.BadRequest):
        return errors.DomainError(TEXTS["malformed"], code="malformed")
    if isinstance(exc, OperationalError | InterfaceError):
        return _from_database(exc)
    return Internal()


def _from_drf(exc: drf.APIException) -> errors.DomainError:
    if isinstance(exc, drf.ValidationError):
        return errors.Invalid(*field_errors(exc.detail))
    if isinstance(exc, drf.Throttled):
        return errors.TooMany(retry_after=max(1, math.ceil(getattr(exc, "wait", None) or 1)))
    if isinstance(exc, drf.NotFound):
        return errors.NotVisible()
    if isinstance(exc, drf.UnsupportedMediaType):
        return errors.WrongType()
    if isinstance(exc, drf.AuthenticationFailed | drf.NotAuthenticated):
        return _with_status(exc.status_code, "not_authenticated", exc.get_codes())
    if isinstance(exc, drf.PermissionDenied):
        code = exc.get_codes()
        own = isinstance(code, str) and code != exc.default_code
        return errors.NotAllowed(str(exc.detail), code=str(code)) if own else errors.NotAllowed()
    known = {400: "malformed", 405: "method_not_allowed", 406: "not_acceptable"}
    if exc.status_code in known:
        return _with_status(exc.status_code, known[exc.status_code], exc.get_codes())
    return Internal()


def _with_status(status: int, code: str, own: Any) -> errors.DomainError:
    """A stable code and text of ours; a code that a raiser chose on purpose stays."""
    defaults = {"authentication_failed", "parse_error", "error"}
    chosen = own if isinstance(own, str) and own not in defaults else code
    problem = errors.DomainError(TEXTS[code], code=chosen)
    problem.status = status
    return problem


def _from_database(exc: DatabaseError) -> errors.DomainError:
    sqlstate = getattr(exc.__cause__, "pgcode", None)
    code = "busy" if sqlstate == LOCK_NOT_AVAILABLE else "unavailable"
    logger.warning("database_refused", extra={"sqlstate": sqlstate})
    return Unavailable(TEXTS[code], code=code, retry_after=1 if code == "busy" else 5)


def field_errors(detail: Any, pointer: str = "") -> Iterator[errors.FieldError]:
    """Flatten DRF's nested errors; each gets the JSON pointer of what it is about."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            deeper = pointer if name == "non_field_errors" else f"{pointer}/{escape(name)}"
            yield from field_errors(inner, deeper)
    elif isinstance(detail, Sequence) and not isinstance(detail, str):
        for index, inner in enumerate(detail):
            leaf = isinstance(inner, str)
            yield from field_errors(inner, pointer if leaf else f"{pointer}/{index}")
    else:
        yield errors.FieldError(pointer, str(getattr(detail, "code", "invalid")), str(detail))


def escape(token: object) -> str:
    """One token of a JSON pointer (RFC 6901)."""
    return str(token).replace("~", "~0").replace("/", "~1")


def _model_errors(exc: django_errors.ValidationError) -> Iterator[errors.FieldError]:
    by_field = exc.error_dict if hasattr(exc, "error_dict") else {"__all__": exc.error_list}
    for name, found in by_field.items():
        pointer = "" if name == "__all__" else f"/{escape(name)}"
        for error in found:
            text = "; ".join(error.messages)
            yield errors.FieldError(pointer, str(error.code or "invalid"), text)
