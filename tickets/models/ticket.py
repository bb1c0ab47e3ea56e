"""The case itself, its number, its gradings and what keeps it open."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from aftersales.accounts.actors import Actor, ActorKind
from aftersales.accounts.models import Role
from aftersales.customers.fields import EncryptedJSONField, SealedModel, SealedQuerySet
from tickets import states
from tickets.models.policy import PolicyVersion

if TYPE_CHECKING:
    from aftersales.accounts.models import User

# Internal staff see every case, its personal data masked; the others see what is given to them.
READERS = (
    Role.AGENT,
    Role.ENGINEER,
    Role.WAREHOUSE,
    Role.FINANCE,
    Role.INSPECTOR,
    Role.SUPERVISOR,
    Role.MANAGER,
)


class TicketQuerySet(SealedQuerySet["Ticket"]):
    def visible_to(self, actor: Actor) -> "TicketQuerySet":
        """Cases that the actor may know of: a shop, customer or dealer their own, staff by role."""
        if actor.kind == ActorKind.SHOP:
            return self.filter(shop=actor.shop).exclude(kind__in=states.INTERNAL_KINDS)
        if actor.kind == ActorKind.CUSTOMER and actor.contact_id is not None:
            return self.filter(contact_id=actor.contact_id).exclude(kind__in=states.INTERNAL_KINDS)
        if actor.kind == ActorKind.SYSTEM or actor.has_role(*READERS):
            return self
        if actor.has_role(Role.DEALER):
            return self.filter(recorded_by=actor.user)
        return self.none()

    def open(self) -> "TicketQuerySet":
        return self.filter(status__in=states.OPEN)

    def overdue(self, now: datetime) -> "TicketQuerySet":
        return self.filter(next_due_at__lt=now)

    def due_to_wake(self, now: datetime) -> "TicketQuerySet":
        """Cases in which a stage or the end of a longest pause has passed (the sweep's work)."""
        return self.filter(wake_at__lt=now)


class Ticket(SealedModel):
    """One case of a customer: a fault, complaint, return, repair, question or suggestion.

    Free text is stored with phone numbers, mail addresses and ID numbers masked; ``originals``
    holds the unmasked text of the fields in which something was masked, encrypted. ``wake_at`` and
    ``next_due_at`` are derived from the clocks and written only by the SLA engine: the first is
    when the case needs the sweep, the second the earliest running promise of ours.
    ``version`` counts edits by people.
    """

    number = models.CharField(max_length=24)
    kind = models.CharField(max_length=20, choices=states.Kind)
    channel = models.CharField(max_length=20, choices=states.Channel)
    status = models.CharField(max_length=12, choices=states.Status, default=states.Status.NEW)
    waiting_reason = models.SlugField(blank=True)
    level = models.CharField(max_length=12, choices=states.Level)
    grading = models.CharField(
        max_length=12, choices=states.Grading, default=states.Grading.PROPOSED
    )
    urgency = models.CharField(
        max_length=12, choices=states.Urgency, default=states.Urgency.UNKNOWN
    )
    demand = models.CharField(max_length=20, choices=states.Demand, default=states.Demand.OTHER)
    complaint_class = models.CharField(max_length=12, choices=states.ComplaintClass, blank=True)
    complained_of = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text=_("A complaint is never handled by the person complained of."),
        db_index=False,
    )

    subject = models.CharField(max_length=200)
    description = models.TextField()
    environment = models.TextField(blank=True)
    tried = models.TextField(blank=True)
    originals = EncryptedJSONField(null=True)
    language = models.CharField(max_length=10, default="zh-hans")

    contact = models.ForeignKey("customers.Contact", on_delete=models.PROTECT, null=True)
    order = models.ForeignKey("customers.Order", on_delete=models.PROTECT, null=True)
    product = models.ForeignKey(
        "customers.Product", on_delete=models.PROTECT, null=True, db_index=False
    )
    unit = models.ForeignKey("customers.Unit", on_delete=models.PROTECT, null=True)
    product_model = models.CharField(max_length=80, blank=True)
    serial_number = models.CharField(max_length=80, blank=True)
    purchased_on = models.DateField(null=True)
    purchase_channel = models.CharField(max_length=40, blank=True)
    product_unverified = models.BooleanField(default=False)
    order_unknown = models.BooleanField(default=False)
    failed_conditions = ArrayField(
        models.SlugField(),
        default=list,
        help_text=_("Terms of free service that this case does not meet; it goes on all the same."),
    )

    shop = models.ForeignKey("accounts.Shop", on_delete=models.PROTECT, null=True, db_index=False)
    external_ref = models.CharField(max_length=80, null=True)
    recorded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
    )
    submission_id = models.UUIDField(null=True, unique=True)

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, db_index=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="owned_tickets"
    )

    policy = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, db_index=False)
    cycle = models.PositiveSmallIntegerField(default=1)
    wake_at = models.DateTimeField(null=True)
    wake_attempts = models.PositiveSmallIntegerField(default=0)
    next_due_at = models.DateTimeField(null=True)
    urges = models.PositiveSmallIntegerField(default=0)
    version = models.PositiveIntegerField(default=1)

    occurred_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    created_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    resolution = models.TextField(blank=True)
    closed_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)

    objects = TicketQuerySet.as_manager()

    class Meta:
        constraints = [
            # not unique=True, which adds a second index for LIKE
            models.UniqueConstraint(fields=["number"], name="tickets_ticket_unique_number"),
            models.CheckConstraint(
                condition=Q(status__in=states.Status.values), name="tickets_ticket_known_status"
            ),
            models.CheckConstraint(
                condition=Q(level__in=states.Level.values), name="tickets_ticket_known_level"
            ),
            models.CheckConstraint(
                condition=Q(grading__in=states.Grading.values), name="tickets_ticket_known_grading"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=states.Kind.values), name="tickets_ticket_known_kind"
            ),
            models.CheckConstraint(
                condition=Q(channel__in=states.Channel.values), name="tickets_ticket_known_channel"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["resolved", "closed"], resolved_at__isnull=False)
                | (~Q(status__in=["resolved", "closed"]) & Q(resolved_at__isnull=True)),
                name="tickets_ticket_resolved_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status="closed", closed_at__isnull=False)
                | (~Q(status="closed") & Q(closed_at__isnull=True)),
                name="tickets_ticket_closed_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status="cancelled", cancelled_at__isnull=False)
                | (~Q(status="cancelled") & Q(cancelled_at__isnull=True)),
                name="tickets_ticket_cancelled_has_time",
            ),
            models.CheckConstraint(
                condition=(Q(status="waiting") & ~Q(waiting_reason=""))
                | (~Q(status="waiting") & Q(waiting_reason="")),
                name="tickets_ticket_waiting_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["new", "cancelled", "merged"]) | Q(owner__isnull=False),
                name="tickets_ticket_worked_has_owner",
            ),
            models.CheckConstraint(
                condition=Q(complained_of__isnull=True)
                | Q(owner__isnull=True)
                | ~Q(owner=F("complained_of")),
                name="tickets_ticket_owner_not_complained_of",
                violation_error_message=_(
                    "A complaint is not handled by the person complained of; choose somebody else."
                ),
            ),
            models.UniqueConstraint(
                fields=["shop", "external_ref"],
                condition=Q(external_ref__isnull=False),
                nulls_distinct=False,
                name="tickets_ticket_unique_external_ref",
            ),
        ]
        indexes = [
            # the sweep and the health check: cost follows what is due, not what is open
            models.Index(
                fields=["wake_at"], condition=Q(wake_at__isnull=False), name="tickets_wake"
            ),
            # the owner's queue, by deadline
            models.Index(
                fields=["owner", "next_due_at", "id"],
                condition=Q(status__in=states.OPEN),
                name="tickets_owner_queue",
            ),
            # the team's queue, by deadline
            models.Index(
                fields=["team", "next_due_at", "id"],
                condition=Q(status__in=states.OPEN),
                name="tickets_team_queue",
            ),
            # lists of staff keys, newest first; with ?status= the next one
            models.Index(fields=["-created_at", "-id"], name="tickets_newest"),
            models.Index(fields=["status", "-created_at", "-id"], name="tickets_status_newest"),
            models.Index(
                fields=["level", "-created_at", "-id"],
                condition=Q(status__in=states.OPEN),
                name="tickets_level_newest",
            ),
            # lists of a shop's key
            models.Index(
                fields=["shop", "-created_at", "-id"],
                condition=Q(shop__isnull=False),
                name="tickets_shop_newest",
            ),
            # a dealer's list
            models.Index(
                fields=["recorded_by", "-created_at", "-id"],
                condition=Q(recorded_by__isnull=False),
                name="tickets_recorder_newest",
            ),
            # ?overdue=true
            models.Index(
                fields=["next_due_at"],
                condition=Q(next_due_at__isnull=False),
                name="tickets_next_due",
            ),
            # grading rules that count a model's recent cases; likely duplicates
            models.Index(
                fields=["product", "-created_at"],
                condition=Q(product__isnull=False),
                name="tickets_product_recent",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def warnings(self) -> list[str]:
        """What the reporter should know: codes, in the order in which they are told."""
        marks = {
            "product_unverified": self.product_unverified,
            "order_unknown": self.order_unknown,
        }
        return [code for code, marked in marks.items() if marked] + self.failed_conditions

    def is_owned_by(self, user: "User | None") -> bool:
        return user is not None and self.owner_id == user.pk


class NumberDay(models.Model):
    """Where the number sequence stood when a day in the firm's zone began.

    A case's number is prefix, day, and the sequence's next value less ``base``.
    """

    day = models.DateField(primary_key=True)
    base = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.day}: {self.base}"


class GradingForm(models.Model):
    """One decision on the grading approval form: proposed level, decided level, why, and filing.

    Manual E 2.2: a supervisor or support engineer decides, the manager files urgent and important
    cases or sends the form back.
    """

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="grading_forms")
    number = models.PositiveSmallIntegerField()
    from_level = models.CharField(max_length=12, choices=states.Level)
    to_level = models.CharField(max_length=12, choices=states.Level)
    rules = ArrayField(models.SlugField(), default=list)
    reason = models.TextField(blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField()
    filed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    filed_at = models.DateTimeField(null=True)
    returned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    returned_at = models.DateTimeField(null=True)
    return_reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ticket", "number"], name="tickets_gradingform_unique_number"
            ),
            models.CheckConstraint(
                condition=Q(filed_at__isnull=True) | Q(returned_at__isnull=True),
                name="tickets_gradingform_filed_or_returned",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ticket_id}/{self.number}"


class Hold(models.Model):
    """Something of an upper app that keeps a case from being closed, cancelled or merged.

    While a refund runs, say; ``key`` is the upper app's own, ``label`` is told to whoever is
    refused.
    """

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="holds")
    key = models.CharField(max_length=80)
    label_zh = models.CharField(max_length=200)
    label_en = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ticket", "key"], name="tickets_hold_unique_key")
        ]

    def __str__(self) -> str:
        return self.key
