"""What goes out: outbox, notices, webhook endpoints, and the secrets that travel in messages."""

from aftersales.messaging.models.keys import Code, Link
from aftersales.messaging.models.notices import Notice
from aftersales.messaging.models.outbox import Outbox
from aftersales.messaging.models.webhooks import WebhookEndpoint

__all__ = ["Code", "Link", "Notice", "Outbox", "WebhookEndpoint"]
