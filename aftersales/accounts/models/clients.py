"""Programs that come in by REST: their shop or user, their keys, and what they asked already."""

import uuid
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from rest_framework_api_key.models import AbstractAPIKey, APIKeyManager

from aftersales.accounts.models.people import User


class ClientKind(models.TextChoices):
    SHOP = "shop", _("Shop")
    STAFF = "staff", _("Staff")


class Scope(models.TextChoices):
    """What a shop's key may be used for; a staff key has its user's rights instead."""

    TICKETS_READ = "tickets:read", _("Read its own cases")
    TICKETS_WRITE = "tickets:write", _("Open and answer its own cases")
    ORDERS_READ = "orders:read", _("Read its own orders")
    ORDERS_WRITE = "orders:write", _("Send its own orders")


class Shop(models.Model):
    """A web shop or a shop on a marketplace; its clients see its own cases and orders only."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    code = models.SlugField(_("code"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=80)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name, verbose_name_plural = _("shop"), _("shops")

    def __str__(self) -> str:
        return self.name


class ApiClient(models.Model):
    """One program that calls the API, for a shop or as one member of staff."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=ClientKind)
    name = models.CharField(_("name"), max_length=80)
    shop = models.ForeignKey(
        Shop,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="clients",
        verbose_name=_("shop"),
    )
    user = models.ForeignKey(
        User,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="api_clients",
        verbose_name=_("account"),
    )
    scopes = ArrayField(
        models.CharField(max_length=20, choices=Scope),
        default=list,
        blank=True,
        verbose_name=_("scopes"),
    )
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name, verbose_name_plural = _("API client"), _("API clients")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind=ClientKind.SHOP, shop__isnull=False, user__isnull=True)
                | Q(kind=ClientKind.STAFF, shop__isnull=True, user__isnull=False, scopes=[]),
                name="accounts_apiclient_shop_xor_user",
                violation_error_message=_(
                    "A shop's client names its shop, a staff client its user and no scopes."
                ),
            ),
            models.CheckConstraint(
                condition=Q(scopes__contained_by=Scope.values),
                name="accounts_apiclient_scopes_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ApiKey(AbstractAPIKey):
    """One secret of a client, stored as a hash; two live ones at a time let it be rotated."""

    client = models.ForeignKey(
        ApiClient, on_delete=models.PROTECT, related_name="keys", verbose_name=_("API client")
    )
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    objects: ClassVar[APIKeyManager] = APIKeyManager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")


class IdempotentRequest(models.Model):
    """The first answer to a client's ``Idempotency-Key``, replayed to whoever repeats it.

    Inserted before the work and committed with it: a rolled back request leaves nothing.
    ``body`` is encrypted, for an answer may hold a secret link.
    """

    client = models.ForeignKey(ApiClient, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    method = models.CharField(max_length=10)
    path = models.CharField(max_length=500)
    fingerprint = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    keep_until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["client", "key"], name="accounts_idempotentrequest_once"
            ),
            models.CheckConstraint(
                condition=Q(status__isnull=True, body__isnull=True)
                | Q(status__gte=200, status__lt=300, body__isnull=False),
                name="accounts_idempotentrequest_only_success",
            ),
        ]
        indexes = [
            # Read by the daily purge.
            models.Index(fields=["keep_until"], name="accounts_idem_keep_until"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
