"""The outbox: everything that must leave the system, written beside what it tells about."""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

PENDING = Q(sent_at__isnull=True, dead_at__isnull=True)


class OutboxQuerySet(models.QuerySet["Outbox"]):
    """Where a row stands."""

    def pending(self) -> "OutboxQuerySet":
        """Still to be sent, at once or at a later try."""
        return self.filter(PENDING)

    def dead(self) -> "OutboxQuerySet":
        """Given up; waits for a person to replay it."""
        return self.filter(dead_at__isnull=False)

    def due(self, topic: str, now: datetime) -> "OutboxQuerySet":
        """Pending rows of a topic whose turn has come, oldest first."""
        return (
            self.pending().filter(topic=topic, available_at__lte=now).order_by("available_at", "id")
        )


class Outbox(models.Model):
    """One thing to do outside the transaction that caused it: expand an event, send one message.

    Committed with the change it tells about, so neither exists without the other. The payload
    holds ids and keys only; names, addresses and secrets are looked up when the message is sent.
    Every column but the first four has a database default, so that a bulk INSERT may leave it out.
    """

    topic = models.CharField(_("topic"), max_length=60)
    dedupe_key = models.CharField(max_length=200)
    payload = models.JSONField()
    created_at = models.DateTimeField(_("written at"), db_default=Now())
    # The next try; while somebody holds the lease, the moment when the lease ends.
    available_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveSmallIntegerField(_("tries"), db_default=0)
    lease = models.UUIDField(null=True, blank=True, editable=False)
    # Whom it is for ("contact:5", "user:7", "endpoint:3"): limits and one-at-a-time go by it.
    recipient = models.CharField(_("recipient"), max_length=40, db_default="", blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField(_("given up at"), null=True, blank=True)
    # A class name and a number, never a text from outside: those quote addresses.
    last_error = models.CharField(_("last error"), max_length=120, db_default="", blank=True)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        verbose_name = _("outgoing message")
        verbose_name_plural = _("outgoing messages")
        constraints = [
            models.UniqueConstraint(fields=["dedupe_key"], name="messaging_outbox_once"),
            models.CheckConstraint(
                condition=Q(sent_at__isnull=True) | Q(dead_at__isnull=True),
                name="messaging_outbox_sent_or_dead",
            ),
        ]
        indexes = [
            # Read by relay.claim (next due row of a topic) and figures.oldest_pending_age.
            models.Index(
                fields=["topic", "available_at", "id"],
                condition=PENDING,
                name="messaging_outbox_pending",
            ),
            # Read by relay.claim_webhook: the next row of one endpoint.
            models.Index(
                fields=["recipient", "available_at", "id"],
                condition=PENDING & Q(topic="webhook"),
                name="messaging_outbox_endpoint",
            ),
            # Read by the admin's list of dead letters and figures.dead_count.
            models.Index(
                fields=["dead_at"], condition=Q(dead_at__isnull=False), name="messaging_outbox_dead"
            ),
            # Read by limits: messages to one recipient within the hour.
            models.Index(
                fields=["recipient", "sent_at"],
                condition=~Q(recipient=""),
                name="messaging_outbox_recipient",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.dedupe_key}"

    @property
    def message_id(self) -> str:
        """The id that receivers deduplicate by: the same on every try and replay of this row.

        Made from the id, but not equal to it: a restored database counts its ids anew.
        """
        name = f"{settings.BASE_URL}/{self.id}/{self.created_at.isoformat()}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, name))
