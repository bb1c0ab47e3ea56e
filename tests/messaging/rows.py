"""Rows that only these tests need."""

from datetime import UTC, datetime
from typing import Any

from aftersales.customers.models import Contact
from aftersales.messaging import outbox, webhooks
from aftersales.messaging.models import Outbox, WebhookEndpoint
from tests import factories

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def make_contact(**changes: Any) -> Contact:
    return factories.make_contact(**{"email": "ming@example.com", "phone": "13800138000"} | changes)


def make_mail(contact: Contact, key: str = "k", **changes: Any) -> Outbox:
    payload = {"template": "probe/hello", "params": {"number": "GZ1"}, **changes}
    return outbox.write("mail", key, payload, recipient=f"contact:{contact.id}")


def make_endpoint(url: str, **changes: Any) -> WebhookEndpoint:
    return WebhookEndpoint.objects.create(
        **{"url": url, "secret": webhooks.new_secret(), **changes}
    )


def make_call(endpoint: WebhookEndpoint, key: str = "k") -> Outbox:
    payload = {"type": "ticket.resolved", "at": NOW.isoformat(), "data": {"id": "abc"}}
    return outbox.write("webhook", key, payload, recipient=f"endpoint:{endpoint.id}")
