"""Mail, through whichever of Django's backends EMAIL_URL names."""

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend

from aftersales.common import dbtime
from aftersales.messaging import composing, limits, texts, topics
from aftersales.messaging.models import Outbox

_open: ContextVar[BaseEmailBackend | None] = ContextVar("mail_connection", default=None)


@contextmanager
def session() -> Iterator[None]:
    """One connection for a run of mails; it opens with the first."""
    backend = get_connection()
    token = _open.set(backend)
    try:
        yield
    finally:
        _open.reset(token)
        try:
            backend.close()
        except (OSError, smtplib.SMTPException):
            _drop(backend)


def deliver(row: Outbox) -> None:
    """Sends one mail in its recipient's language. Raises an Outcome when it did not go out."""
    reached = composing.reach(row.recipient)
    if not reached.email:
        raise topics.Skipped("NoAddress")
    limits.hold_flood(row, now=dbtime.database_now())
    name = row.payload["template"]
    with composing.in_words(row, reached.language) as values:
        subject = texts.one_line(texts.path(name, "subject"), values)
        body = texts.plain(texts.path(name, "body"), values)
    held = _open.get()
    backend = held or get_connection()
    message = EmailMessage(
        subject=subject,
        body=body,
        to=[reached.email],
        headers=headers(row),
        connection=backend,
    )
    try:
        if held is not None:
            # Left to itself send() opens and closes one connection a mail.
            held.open()
        message.send()
    except Exception as error:
        _drop(backend)
        raise outcome_of(error) from None


def headers(row: Outbox) -> dict[str, str]:
    """The same Message-ID on every try, and the marks that keep vacation replies away."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return {
        "Message-ID": f"<{row.message_id}@{domain}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "List-Id": f"<after-sales.{domain}>",
    }


def outcome_of(error: Exception) -> topics.Outcome:
    """What a failed send means. Only class and SMTP code are kept: the text quotes the address.

    A refused recipient or content (5xx) will be refused again. A server that cannot be reached,
    hangs up or rejects our sign-in is down for every mail, so the run stops.
    """
    kind = type(error).__name__
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = max((code for code, _ in error.recipients.values()), default=0)
        return (
            topics.Refused(f"{kind} {code}") if code >= 500 else topics.TryLater(f"{kind} {code}")
        )
    if isinstance(error, smtplib.SMTPDataError):
        code = error.smtp_code
        return (
            topics.Refused(f"{kind} {code}") if code >= 500 else topics.TryLater(f"{kind} {code}")
        )
    if isinstance(error, smtplib.SMTPResponseException):
        return topics.TryLater(f"{kind} {error.smtp_code}", stop=True)
    if isinstance(error, smtplib.SMTPException | OSError):
        return topics.TryLater(kind, stop=True)
    # A header or an address that cannot be written (CR, LF): it never will be.
    return topics.Refused(kind)


def _drop(backend: BaseEmailBackend) -> None:
    """Hangs up without a farewell, which on a dead connection would wait for its time-out."""
    connection = getattr(backend, "connection", None)
    if connection is not None:
        connection.close()
        backend.connection = None  # type: ignore[attr-defined]
