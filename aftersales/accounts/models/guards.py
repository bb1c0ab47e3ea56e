"""What guards the door: temporary limits, the obligation to a second factor, the trail."""

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from aftersales.accounts.models.clients import ApiClient
from aftersales.accounts.models.people import Role, User


class AttemptLimit(models.Model):
    """How often one thing was tried within its window; past ``ends_at`` it counts anew.

    ``key`` is a keyed hash: what people type into a user name is sometimes their password.
    """

    scope = models.CharField(max_length=30)
    key = models.BinaryField(max_length=32)
    count = models.PositiveIntegerField()
    ends_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scope", "key"], name="accounts_attemptlimit_once"),
        ]
        indexes = [
            # Read by the daily purge.
            models.Index(fields=["ends_at"], name="accounts_attemptlimit_ends_at"),
        ]

    def __str__(self) -> str:
        return f"{self.scope}: {self.count}"


class RoleRequirement(models.Model):
    """What the firm demands of everybody who holds a role."""

    role = models.CharField(_("role"), max_length=20, choices=Role, unique=True)
    second_factor = models.BooleanField(_("second factor required"), default=False)

    class Meta:
        verbose_name, verbose_name_plural = _("duty of a role"), _("duties of roles")
        constraints = [
            models.CheckConstraint(
                condition=Q(role__in=Role.values), name="accounts_rolerequirement_role_known"
            ),
        ]

    def __str__(self) -> str:
        return self.role


class AccountEvent(models.Model):
    """Something that happened to an account or a client; never changed, never removed."""

    event = models.CharField(max_length=60)
    user = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="account_events"
    )
    client = models.ForeignKey(
        ApiClient, null=True, blank=True, on_delete=models.PROTECT, related_name="account_events"
    )
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    actor = models.CharField(max_length=120)
    params = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name, verbose_name_plural = _("account event"), _("account events")
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=False, client__isnull=True)
                | Q(user__isnull=True, client__isnull=False),
                name="accounts_accountevent_one_subject",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]

    def __str__(self) -> str:
        return self.event
