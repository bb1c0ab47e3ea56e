"""Who may see clear personal data, who did, and what a manager must hear of."""

from typing import TYPE_CHECKING, Any, ClassVar

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from aftersales.customers.models.people import Contact

if TYPE_CHECKING:
    from datetime import datetime

    from aftersales.accounts.models import User


class PersonalField(models.TextChoices):
    NAME = "name", _("Name")
    PHONE = "phone", _("Phone")
    EMAIL = "email", _("E-mail")
    ADDRESS = "address", _("Address")


FIELDS_KNOWN: Any = Q(fields__contained_by=PersonalField.values) & ~Q(fields=[])


NEVER_EMPTIED = pgtrigger.Trigger(
    name="never_emptied",
    level=pgtrigger.Statement,
    when=pgtrigger.Before,
    operation=pgtrigger.Truncate,
    func="RAISE EXCEPTION 'Rows of % are kept.', TG_TABLE_NAME;",
)


class GrantQuerySet(models.QuerySet["Grant"]):
    def live(self, now: "datetime") -> "GrantQuerySet":
        """In force at ``now``: begun, not ended, not past its ``until``."""
        return self.filter(
            Q(until__isnull=True) | Q(until__gt=now), given_at__lte=now, ended_at__isnull=True
        )


class Grant(models.Model):
    """The right of one person to see some fields of a contact for one case, while they do its job.

    Written and ended by the workflow that gives and ends the job, in its own transaction. Rows
    stay; only their end may be set, and the database itself sees to that.
    """

    contact = models.ForeignKey(
        Contact, on_delete=models.CASCADE, related_name="grants", verbose_name=_("contact")
    )
    holder: "models.ForeignKey[User, User]" = models.ForeignKey(
        "accounts.User", on_delete=models.PROTECT, related_name="+", verbose_name=_("holder")
    )
    case_ref = models.CharField(_("case"), max_length=64)
    fields: "ArrayField[list[str], list[str]]" = ArrayField(
        models.CharField(max_length=10, choices=PersonalField), verbose_name=_("fields")
    )
    # The job: owner, visit, provider_job, callback, shipping_label, break_glass; apps add theirs.
    reason = models.CharField(_("job"), max_length=40)
    note = models.CharField(_("written reason"), max_length=500, blank=True)
    given_at = models.DateTimeField(_("given at"))
    until = models.DateTimeField(_("until"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    ended_reason = models.CharField(_("why it ended"), max_length=40, blank=True)

    objects: ClassVar[GrantQuerySet] = GrantQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name, verbose_name_plural = (
            _("right to see personal data"),
            _("rights to see personal data"),
        )
        constraints = [
            models.CheckConstraint(condition=FIELDS_KNOWN, name="customers_grant_fields"),
            models.CheckConstraint(
                condition=Q(until__isnull=True) | Q(until__gt=F("given_at")),
                name="customers_grant_until_later",
            ),
        ]
        indexes = [
            # Read by grants.reveal: the live grants of one holder for one contact.
            models.Index(
                fields=["contact", "holder"],
                condition=Q(ended_at__isnull=True),
                name="customers_grant_live",
            ),
            # Read by grants.end: everything a case gave.
            models.Index(
                fields=["case_ref"],
                condition=Q(ended_at__isnull=True),
                name="customers_grant_case",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            NEVER_EMPTIED,
            pgtrigger.ReadOnly(
                name="only_its_end_changes", exclude=["until", "ended_at", "ended_reason"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.case_ref} {self.reason}"


class AccessOutcome(models.TextChoices):
    SHOWN = "shown", _("Shown")
    NO_GRANT = "no_grant", _("Refused: no grant")
    TOO_MANY = "too_many", _("Refused: too many looks")


class AccessLog(models.Model):
    """One look at clear personal data, or one refused; inserted before the value leaves."""

    at = models.DateTimeField(_("time"))
    actor = models.CharField(_("who"), max_length=60)
    user: "models.ForeignKey[User | None, User | None]" = models.ForeignKey(
        "accounts.User",
        null=True,
        on_delete=models.PROTECT,
        db_index=False,
        related_name="+",
        verbose_name=_("user"),
    )
    # No constraint in the database: the record of a look outlives the contact.
    contact = models.ForeignKey(
        Contact,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name=_("contact"),
    )
    case_ref = models.CharField(_("case"), max_length=64)
    fields: "ArrayField[list[str], list[str]]" = ArrayField(
        models.CharField(max_length=10), verbose_name=_("fields")
    )
    purpose = models.CharField(_("purpose"), max_length=200)
    outcome = models.CharField(_("outcome"), max_length=10, choices=AccessOutcome)
    grant_id = models.BigIntegerField(null=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("look at personal data"), _("looks at personal data")
        constraints = [
            models.CheckConstraint(condition=FIELDS_KNOWN, name="customers_accesslog_fields"),
            models.CheckConstraint(
                condition=Q(outcome=AccessOutcome.SHOWN, grant_id__isnull=False)
                | (
                    Q(outcome__in=[AccessOutcome.NO_GRANT, AccessOutcome.TOO_MANY])
                    & Q(grant_id__isnull=True)
                ),
                name="customers_accesslog_shown_by_grant",
            ),
        ]
        indexes = [
            # Read by the limit on looks: one person's last hour.
            models.Index(fields=["user", "at"], name="customers_accesslog_user"),
            # Read by "who saw my data".
            models.Index(fields=["contact", "at"], name="customers_accesslog_contact"),
        ]
        triggers = [
            pgtrigger.Protect(name="insert_only", operation=pgtrigger.Update | pgtrigger.Delete),
            NEVER_EMPTIED,
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.outcome}"


class AlertKind(models.TextChoices):
    BREAK_GLASS = "break_glass", _("Personal data opened without a job")
    TOO_MANY = "too_many", _("Unusually many looks at personal data")


class Alert(models.Model):
    """Something managers must be told about the use of personal data.

    An upper app reads the rows without ``announced_at``, tells the managers, and stamps it in the
    same transaction (``grants.take_alerts``).
    """

    kind = models.CharField(_("kind"), max_length=20, choices=AlertKind)
    user: "models.ForeignKey[User, User]" = models.ForeignKey(
        "accounts.User",
        on_delete=models.PROTECT,
        db_index=False,
        related_name="+",
        verbose_name=_("user"),
    )
    contact = models.ForeignKey(
        Contact, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("contact")
    )
    case_ref = models.CharField(_("case"), max_length=64, blank=True)
    note = models.CharField(_("written reason"), max_length=500, blank=True)
    raised_at = models.DateTimeField(_("raised at"))
    announced_at = models.DateTimeField(_("announced at"), null=True)

    class Meta:
        verbose_name, verbose_name_plural = _("alert"), _("alerts")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=AlertKind.values), name="customers_alert_kind"
            ),
        ]
        indexes = [
            # Read by the announcing task.
            models.Index(
                fields=["id"], condition=Q(announced_at__isnull=True), name="customers_alert_open"
            ),
            # Read by grants.reveal: one alert an hour and person.
            models.Index(fields=["user", "raised_at"], name="customers_alert_user"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.case_ref}"
