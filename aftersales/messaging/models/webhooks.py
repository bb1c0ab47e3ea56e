"""Addresses of other systems that want to hear what happens."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from aftersales.customers.fields import EncryptedTextField


class WebhookEndpoint(models.Model):
    """One address of a shop (or of the firm itself: no shop) and the events it asked for."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    shop = models.ForeignKey(
        "accounts.Shop", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    url = models.URLField(max_length=500)
    # Names such as "ticket.resolved", or "ticket.*"; empty means all.
    events = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    secret = EncryptedTextField()
    # Signs beside the new one until then, so that the receiver can change over.
    old_secret = EncryptedTextField(null=True)
    old_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_active = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=60, db_default="", blank=True)
    # Somebody is talking to it until then: one message at a time.
    busy_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(is_active=False) | Q(disabled_reason=""),
                name="messaging_webhookendpoint_reason_needs_disabled",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id)
