"""Webhooks by Standard Webhooks 1.0: thin, signed, sent once to each endpoint at a time."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from aftersales.messaging import addresses, notices, posting, topics
from aftersales.messaging.drafts import WebhookDraft
from aftersales.messaging.models import Outbox, WebhookEndpoint

OLD_SECRET_LIVES = timedelta(hours=24)


# --- endpoints and secrets ---------------------------------------------------------------------


def drafts_for(
    shop_id: int | None, event: str, data: Mapping[str, Any], *, at: datetime
) -> list[WebhookDraft]:
    """One draft for each live endpoint of the shop, and of the firm, that asked for this event."""
    group = event.partition(".")[0] + ".*"
    endpoints = WebhookEndpoint.objects.filter(
        Q(shop__isnull=True) | Q(shop_id=shop_id),
        Q(events=[]) | Q(events__overlap=[event, group]),
        is_active=True,
    ).order_by("id")
    return [
        WebhookDraft(endpoint_id=number, type=event, data=data, at=at)
        for number in endpoints.values_list("id", flat=True)
    ]


def new_secret() -> str:
    """A fresh signing secret in the form of the specification."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def create_endpoint(
    url: str, *, shop_id: int | None = None, events: Iterable[str] = ()
) -> WebhookEndpoint:
    """A new endpoint with its secret. Raises addresses.ForbiddenAddress for an unfit address."""
    addresses.parse(url, private=settings.WEBHOOKS_TO_PRIVATE_ADDRESSES)
    return WebhookEndpoint.objects.create(
        shop_id=shop_id, url=url, events=list(events), secret=new_secret()
    )


def rotate_secret(endpoint_id: int, *, now: datetime) -> str:
    """A new secret; the old one signs beside it for a day, so that the receiver can change over."""
    with transaction.atomic():
        endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(id=endpoint_id)
        secret = new_secret()
        endpoint.old_secret = endpoint.secret
        endpoint.old_secret_until = now + OLD_SECRET_LIVES
        endpoint.secret = secret
        endpoint.save(update_fields=["secret", "old_secret", "old_secret_until"])
    return secret


def disable(endpoint_id: int, reason: str, *, now: datetime) -> None:
    """Nothing is sent to it any more; the administrators are told."""
    with transaction.atomic():
        changed = WebhookEndpoint.objects.filter(id=endpoint_id, is_active=True).update(
            is_active=False, disabled_reason=reason
        )
        if changed:
            notices.tell_administrators(
                "messaging.endpoint_disabled", {"endpoint": endpoint_id, "reason": reason}, now=now
            )


# --- one call ----------------------------------------------------------------------------------


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """One ``v1,…`` signature over id, moment and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


@dataclass(frozen=True)
class Call:
    """All that a thread needs to send one webhook; it asks the database nothing."""

    url: str
    headers: dict[str, str]
    body: bytes


def prepare(row: Outbox, *, now: datetime) -> Call:
    """The signed request of one try: same id and body every time, the try's own moment.

    Raises Refused when the endpoint is gone or disabled.
    """
    endpoint = WebhookEndpoint.objects.filter(id=endpoint_id(row)).first()
    if endpoint is None or not endpoint.is_active:
        raise topics.Refused("EndpointDisabled")
    body = json.dumps(
        {"type": row.payload["type"], "timestamp": row.payload["at"], "data": row.payload["data"]},
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
    live = [endpoint.secret.clear()]
    if endpoint.old_secret and endpoint.old_secret_until and endpoint.old_secret_until > now:
        live.append(endpoint.old_secret.clear())
    message_id, timestamp = f"msg_{row.message_id}", int(now.timestamp())
    return Call(
        url=endpoint.url,
        headers={
            "Content-Type": "application/json",
            "User-Agent": "aftersales-portal",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(
                sign(secret, message_id=message_id, timestamp=timestamp, body=body)
                for secret in live
            ),
        },
        body=body,
    )


def send(call: Call) -> topics.Outcome | None:
    """Makes the call; None for a 2xx. Touches no database, so it may run in a thread."""
    private = settings.WEBHOOKS_TO_PRIVATE_ADDRESSES
    try:
        target = addresses.parse(call.url, private=private)
        address = addresses.resolve(target, private=private)
    except addresses.ForbiddenAddress:
        return topics.Refused("ForbiddenAddress")
    except addresses.UnknownHost:
        return topics.TryLater("UnknownHost")
    try:
        answer = posting.post(target, address, headers=call.headers, body=call.body)
    except posting.NoAnswer as error:
        return topics.TryLater(str(error))
    return outcome_of(answer)


def outcome_of(answer: posting.Answer) -> topics.Outcome | None:
    """What the receiver's status means: 2xx is success, a redirect is none, 410 ends it."""
    if 200 <= answer.status < 300:
        return None
    code = f"HTTP {answer.status}"
    if answer.status == 410:
        return topics.Refused(code)
    if answer.status in (429, 502, 503, 504):
        return topics.TryLater(code, after=retry_after(answer.retry_after, answer.received_at))
    return topics.TryLater(code)


def retry_after(text: str, now: datetime) -> timedelta | None:
    """The wait a receiver asked for, in seconds or as a date; None when it said nothing useful."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 10**6))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(moment - now, timedelta(0))


def endpoint_id(row: Outbox) -> int:
    return int(row.recipient.removeprefix("endpoint:"))
