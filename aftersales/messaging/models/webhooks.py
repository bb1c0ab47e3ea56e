"""Addresses of other systems that want to hear what happens."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from aftersales.customers.fields import EncryptedTextField


class WebhookEndpoint(models.Model):
    """One address of a shop (or of the firm itself: no shop) and the events it asked for."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    shop = models.ForeignKey(
        "accounts.Shop",
        verbose_name=_("shop"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    url = models.URLField(_("address"), max_length=500)
    # Names such as "ticket.resolved", or "ticket.*"; empty means all.
    events = ArrayField(
        models.CharField(max_length=60), verbose_name=_("events"), default=list, blank=True
    )
    secret = EncryptedTextField()
    # Signs beside the new one until then, so that the receiver can change over.
    old_secret = EncryptedTextField(null=True)
    old_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_active = models.BooleanField(_("in use"), default=True)
    disabled_reason = models.CharField(
        _("switched off because"), max_length=60, db_default="", blank=True
    )
    # Somebody is talking to it until then: one message at a time.
    busy_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        constraints = [
            models.CheckConstraint(
                condition=Q(is_active=False) | Q(disabled_reason=""),
                name="messaging_webhookendpoint_reason_needs_disabled",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id)
