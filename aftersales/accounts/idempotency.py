"""A POST that is repeated with its ``Idempotency-Key`` has one effect and the first answer.

Everything a request does lies in one database, so one transaction holds the key's row, the work
and the stored answer: a crash leaves nothing, and the repetition is a first try.
"""

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError, connection, transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext_lazy as _
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from aftersales.accounts.authentication import client_of
from aftersales.accounts.models import IdempotentRequest
from aftersales.common import crypto, dbtime, errors
from aftersales.common.api.problems import LOCK_NOT_AVAILABLE

KEPT = timedelta(days=7)
KEPT_FOR_MONEY = timedelta(days=30)
PATIENCE = "5s"
KEY = re.compile(r"[\x21-\x7e]{1,255}")
KEPT_HEADERS = ("Content-Type", "Location", "ETag", "Link")

P = ParamSpec("P")
Handler = Callable[Concatenate[Any, Request, P], HttpResponseBase]


def idempotent(*, keep: timedelta = KEPT) -> Callable[[Handler[P]], Handler[P]]:
    """Decorate a POST handler of a view that only clients with a key can reach."""

    def decorate(handler: Handler[P]) -> Handler[P]:
        @wraps(handler)
        def guarded(
            view: Any, request: Request, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponseBase:
            return once(request, lambda: handler(view, request, *args, **kwargs), keep=keep)

        guarded.idempotent = True  # type: ignore[attr-defined]
        return cast("Handler[P]", guarded)

    return decorate


def once(
    request: Request, work: Callable[[], HttpResponseBase], *, keep: timedelta = KEPT
) -> HttpResponseBase:
    """Do ``work`` in a transaction with the key's row, or replay what it answered before.

    Only a 2xx is stored; any other answer, or an exception, rolls everything back. Locks the
    key's row, before any other row. Within it no lock is waited for longer than 5 s.
    Raises DomainError 400 (no key), 422 (key of another body), 409 (still running after 5 s).
    """
    key = _key_of(request)
    fingerprint = fingerprint_of(request)
    with transaction.atomic():
        row_id = _claim(request, key, fingerprint, keep)
        if row_id is None:
            return _replay(request, key, fingerprint)
        response = work()
        if not 200 <= response.status_code < 300:
            transaction.set_rollback(True)
            return response
        return _store(row_id, request, key, response)


def fingerprint_of(request: Request) -> bytes:
    """A keyed hash of method, address and body; equal JSON is equal, however it is written."""
    if isinstance(request.data, dict | list) and not hasattr(request.data, "lists"):
        content: Any = request.data
    else:
        content = [
            (name, [_part(value) for value in values]) for name, values in request.data.lists()
        ]
    text = json.dumps(
        [request.method, request.get_full_path(), content],
        sort_keys=True,
        cls=DjangoJSONEncoder,
    )
    return salted_hmac("accounts.idempotency", text, algorithm="sha256").digest()


def _part(value: Any) -> Any:
    if not isinstance(value, UploadedFile):
        return value
    digest = hashlib.sha256()
    for chunk in value.chunks():
        digest.update(chunk)
    value.seek(0)
    return [value.name, value.content_type, digest.hexdigest()]


def _key_of(request: Request) -> str:
    key: str = request.headers.get("Idempotency-Key", "")
    if not key:
        raise errors.DomainError(
            _("Send an Idempotency-Key, new for each new wish, so that repeating is safe."),
            code="idempotency_key_missing",
        )
    if KEY.fullmatch(key) is None:
        raise errors.DomainError(
            _("An Idempotency-Key is 1 to 255 visible ASCII characters."),
            code="idempotency_key_malformed",
        )
    return key


def _claim(request: Request, key: str, fingerprint: bytes, keep: timedelta) -> int | None:
    """The row's id if it is ours now. Waits for a transaction that holds the same key."""
    now = dbtime.database_now()
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SET LOCAL lock_timeout = %(patience)s;
                INSERT INTO accounts_idempotentrequest AS own
                    (client_id, key, method, path, fingerprint, headers, keep_until)
                VALUES (%(client)s, %(key)s, %(method)s, %(path)s, %(fingerprint)s, '{}', %(until)s)
                ON CONFLICT (client_id, key) DO UPDATE SET
                    method = excluded.method, path = excluded.path, status = NULL, body = NULL,
                    fingerprint = excluded.fingerprint, headers = '{}',
                    keep_until = excluded.keep_until, created_at = %(now)s
                WHERE own.keep_until <= %(now)s
                RETURNING id
                """,
                {
                    "patience": PATIENCE,
                    "client": client_of(request).pk,
                    "key": key,
                    "method": request.method,
                    "path": request.path[:500],
                    "fingerprint": fingerprint,
                    "until": now + keep,
                    "now": now,
                },
            )
            row = cursor.fetchone()
            return row[0] if row else None
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != LOCK_NOT_AVAILABLE:
            raise
        raise errors.Conflict(
            _("The first request with this key is still running. Repeat in a moment."),
            code="idempotency_key_in_use",
            retry_after=1,
        ) from error


def _replay(request: Request, key: str, fingerprint: bytes) -> HttpResponse:
    stored = IdempotentRequest.objects.get(client_id=client_of(request).pk, key=key)
    if not constant_time_compare(bytes(stored.fingerprint), fingerprint):
        raise errors.Invalid(
            detail=_("This Idempotency-Key was used for another request. Take a new one."),
            code="idempotency_key_reused",
        )
    content = crypto.decrypt(
        bytes(stored.body or b""), context=_place(request, key), keys=settings.PERSONAL_DATA_KEYS
    )
    response = HttpResponse(content, status=stored.status, headers=stored.headers)
    response["Idempotent-Replayed"] = "true"
    return response


def _store(row_id: int, request: Request, key: str, response: HttpResponseBase) -> HttpResponse:
    """Write down the bytes that go out, so that every repetition gets the very same ones."""
    if isinstance(response, Response):
        content = b"" if response.data is None else JSONRenderer().render(response.data)
        response["Content-Type"] = "application/json"
    else:
        content = response.content  # type: ignore[attr-defined]
    kept = {name: response[name] for name in KEPT_HEADERS if name in response}
    IdempotentRequest.objects.filter(pk=row_id).update(
        status=response.status_code,
        headers=kept,
        body=crypto.encrypt(
            content, context=_place(request, key), keys=settings.PERSONAL_DATA_KEYS
        ),
    )
    return HttpResponse(content, status=response.status_code, headers=kept)


def _place(request: Request, key: str) -> str:
    return f"accounts_idempotentrequest:body:{client_of(request).pk}:{key}"
