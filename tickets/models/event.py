"""What happened in a case: events, messages, files."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KT
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from aftersales.accounts.actors import Actor, ActorKind
from aftersales.customers.fields import EncryptedTextField, SealedModel
from tickets.models.clock import Clock
from tickets.models.ticket import Ticket


class Event(models.Model):
    """One thing that happened, in the past tense; never changed and never deleted early.

    One table serves all apps, with a ``subject`` (a return's number, say), so that a time line is
    whole. ``at`` is the true moment, ``recorded_at`` when it was written. ``params`` holds keys and
    values, never a sentence and nothing personal; the reader's language is put in when rendered.
    """

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="events")
    name = models.CharField(max_length=60)
    subject = models.CharField(max_length=80, default="", db_default="")
    clock = models.ForeignKey(
        Clock, on_delete=models.CASCADE, null=True, related_name="events", db_index=False
    )
    stage = models.CharField(max_length=12, default="", db_default="")
    due_at = models.DateTimeField(null=True)
    actor_kind = models.CharField(max_length=10, default="system", db_default="system")
    actor_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
    )
    actor_label = models.CharField(max_length=80, default="", db_default="")
    reason = models.TextField(default="", db_default="")
    before = models.JSONField(default=dict, db_default={})
    after = models.JSONField(default=dict, db_default={})
    params = models.JSONField(default=dict, db_default={})
    at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # Stands behind "a stage is reached once". By its cause, too: what the first decision
            # withdrew may come true again when a later one turns back to the same deadline.
            models.UniqueConstraint(
                F("clock"),
                F("stage"),
                F("due_at"),
                KT("params__cause"),
                condition=Q(clock__isnull=False) & ~Q(stage=""),
                nulls_distinct=False,
                name="tickets_event_stage_once",
            )
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.name


class Message(SealedModel):
    """One thing said in a case, shown in the time line; never edited.

    ``body`` is masked text; ``original`` holds what was typed when something was masked.
    """

    class Kind(models.TextChoices):
        CUSTOMER = "customer", _("Written by the customer")
        REPLY = "reply", _("Answer of a member of staff")
        NOTE = "note", _("Internal note")
        AUTOMATIC = "automatic", _("Automatic message")

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="messages")
    kind = models.CharField(max_length=10, choices=Kind)
    body = models.TextField()
    original = EncryptedTextField(null=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    actor_kind = models.CharField(max_length=10)
    channel = models.CharField(max_length=20, blank=True)
    created_at = models.DateTimeField()
    submission_id = models.UUIDField(null=True, unique=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["customer", "reply", "note", "automatic"]),
                name="tickets_message_known_kind",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}"

    @property
    def is_public(self) -> bool:
        """Whether the customer sees it."""
        return self.kind != self.Kind.NOTE


def attachment_path(attachment: "Attachment", filename: str) -> str:
    """A path made of random ids only; the name that was sent never reaches the disk."""
    return f"tickets/{attachment.ticket.public_id}/{attachment.public_id}"


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def visible_to(self, actor: Actor) -> "AttachmentQuerySet":
        """Files of the cases that the actor may know of; internal ones for our own staff only."""
        found = self.filter(ticket__in=Ticket.objects.visible_to(actor))
        inside = actor.kind in (ActorKind.STAFF, ActorKind.SYSTEM)
        return found if inside else found.filter(internal=False)


class Attachment(models.Model):
    """A file that came with a case; pictures are stored re-encoded, without place or camera data.

    Served as an attachment only. ``size`` in bytes, ``sha256`` of what is stored.
    """

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="attachments")
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    file = models.FileField(upload_to=attachment_path, max_length=200)
    name = models.CharField(max_length=100)
    content_type = models.CharField(max_length=60)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    internal = models.BooleanField(default=False)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    actor_kind = models.CharField(max_length=10)
    created_at = models.DateTimeField()

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        constraints = [
            # the same file sent twice is one file; one sent to us is not the one we keep inside
            models.UniqueConstraint(
                fields=["ticket", "sha256", "internal"], name="tickets_attachment_unique_content"
            )
        ]

    def __str__(self) -> str:
        return f"{self.content_type} {self.public_id}"
