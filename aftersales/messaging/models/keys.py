"""Links and one-time codes: the rows hold their limits, never the secret itself."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

MAX_TRIES = 5


class Link(models.Model):
    """One secret address that opens one subject for one purpose until it expires or is revoked.

    The token is derived from the id under LINK_KEYS, so a stolen table opens nothing.
    """

    purpose = models.CharField(max_length=40)
    subject = models.CharField(max_length=80)
    key_id = models.CharField(max_length=8)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # Read by links.revoke_all.
            models.Index(
                fields=["purpose", "subject"],
                condition=Q(revoked_at__isnull=True),
                name="messaging_link_subject",
            ),
            # Read by the daily clean-up.
            models.Index(fields=["expires_at"], name="messaging_link_expires"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.subject}"


class Code(models.Model):
    """One six-digit code sent to one holder, good once for one subject; wrong tries are counted."""

    purpose = models.CharField(max_length=40)
    subject = models.CharField(max_length=80)
    # Who gets it ("contact:5"); codes an hour are limited by this.
    holder = models.CharField(max_length=40)
    key_id = models.CharField(max_length=8)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(db_default=0)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(tries__lte=MAX_TRIES), name="messaging_code_tries_limited"
            ),
        ]
        indexes = [
            # Read by codes.issue: how many this holder got within the hour.
            models.Index(fields=["holder", "created_at"], name="messaging_code_holder"),
            # Read by codes.redeem.
            models.Index(
                fields=["purpose", "subject", "expires_at"],
                condition=Q(used_at__isnull=True),
                name="messaging_code_live",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.subject}"
