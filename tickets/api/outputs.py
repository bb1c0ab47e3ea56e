"""What the calls about cases answer, by audience: staff see the inside, a shop its own outside."""

from typing import Any

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from tickets import permissions, sla, states
from tickets.models import Clock, Event, Explanation, Hold, Message, Ticket


def ticket_url(ticket: Ticket) -> str:
    path = reverse("tickets-api:ticket-detail", args=[ticket.public_id])
    return f"{settings.BASE_URL}{path}"


class ClockOutput(serializers.ModelSerializer[Clock]):
    """One promise. ``phase`` is computed now and never waits for a worker."""

    basis = serializers.SerializerMethodField()
    phase = serializers.SerializerMethodField()

    class Meta:
        model = Clock
        fields = [
            "kind",
            "subject",
            "cycle",
            "basis",
            "party",
            "started_at",
            "due_at",
            "resumes_at",
            "met_at",
            "breached_at",
            "breach_cause",
            "provisional",
            "state",
            "phase",
        ]

    @extend_schema_field(serializers.ChoiceField([basis.value for basis in sla.Basis]))
    def get_basis(self, clock: Clock) -> str:
        return clock.target.parsed_budgets[0].basis.value

    @extend_schema_field(serializers.ChoiceField([phase.value for phase in sla.Phase]))
    def get_phase(self, clock: Clock) -> str:
        return clock.phase(self.context["now"]).value


class OwnerOutput(serializers.Serializer[Any]):
    """Who handles the case, as the customer is told."""

    name = serializers.CharField(source="display_name")
    staff_number = serializers.CharField()


class CustomerOutput(serializers.Serializer[Any]):
    """Personal data as masks; the clear values are behind the contact's ``reveal/``."""

    contact = serializers.UUIDField()
    name = serializers.CharField()
    company = serializers.CharField()
    phone = serializers.CharField()
    email = serializers.CharField()
    address = serializers.CharField()


class ProductOutput(serializers.Serializer[Any]):
    model = serializers.CharField()
    serial_number = serializers.CharField()
    purchased_on = serializers.DateField(allow_null=True)
    purchase_channel = serializers.CharField()
    unverified = serializers.BooleanField()


class TicketRow(serializers.ModelSerializer[Ticket]):
    """A case in a list."""

    id = serializers.UUIDField(source="public_id")
    owner = OwnerOutput(allow_null=True)
    overdue = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()

    class Meta:
        model = Ticket
        fields = [
            "id",
            "number",
            "kind",
            "channel",
            "status",
            "waiting_reason",
            "level",
            "grading",
            "subject",
            "external_ref",
            "owner",
            "received_at",
            "next_due_at",
            "overdue",
            "urges",
            "version",
            "url",
        ]

    def get_overdue(self, ticket: Ticket) -> bool:
        return ticket.next_due_at is not None and ticket.next_due_at < self.context["now"]

    def get_url(self, ticket: Ticket) -> str:
        return ticket_url(ticket)


class TicketOutput(TicketRow):
    """The whole case as a shop sees it."""

    customer = serializers.SerializerMethodField()
    product = serializers.SerializerMethodField()
    warnings = serializers.ListField(child=serializers.CharField())
    clocks = ClockOutput(many=True)
    allowed_events = serializers.SerializerMethodField()

    class Meta(TicketRow.Meta):
        fields = [
            *TicketRow.Meta.fields,
            "urgency",
            "demand",
            "complaint_class",
            "description",
            "environment",
            "tried",
            "occurred_at",
            "customer",
            "product",
            "warnings",
            "cycle",
            "resolution",
            "resolved_at",
            "closed_at",
            "cancelled_at",
            "clocks",
            "allowed_events",
        ]

    @extend_schema_field(CustomerOutput(allow_null=True))
    def get_customer(self, ticket: Ticket) -> dict[str, Any] | None:
        contact = ticket.contact
        if contact is None:
            return None
        return {
            "contact": str(contact.public_id),
            "company": contact.customer.company,
            **contact.masked(),
        }

    @extend_schema_field(ProductOutput)
    def get_product(self, ticket: Ticket) -> dict[str, Any]:
        return {
            "model": ticket.product_model,
            "serial_number": ticket.serial_number,
            "purchased_on": ticket.purchased_on and ticket.purchased_on.isoformat(),
            "purchase_channel": ticket.purchase_channel,
            "unverified": ticket.product_unverified,
        }

    @extend_schema_field(
        serializers.ListField(child=serializers.ChoiceField(sorted(states.TRANSITIONS)))
    )
    def get_allowed_events(self, ticket: Ticket) -> list[str]:
        return permissions.allowed_events(self.context["actor"], ticket)


class ExplanationOutput(serializers.ModelSerializer[Explanation]):
    clock = serializers.CharField(source="clock.kind")
    due_at = serializers.DateTimeField(source="missed_at", help_text="The missed deadline.")
    author = serializers.CharField(source="author.staff_number", allow_null=True)
    signer = serializers.CharField(source="signer.staff_number", allow_null=True)

    class Meta:
        model = Explanation
        fields = [
            "number",
            "clock",
            "due_at",
            "state",
            "attempt",
            "cause",
            "remedy",
            "new_promise_at",
            "author",
            "submitted_at",
            "signer",
            "signed_at",
            "return_reason",
        ]


class HoldOutput(serializers.ModelSerializer[Hold]):
    """What keeps the case from being closed, cancelled or merged."""

    class Meta:
        model = Hold
        fields = ["key", "label_zh", "label_en"]


class StaffTicketOutput(TicketOutput):
    """The whole case. Team, explanations and what keeps it open are told to staff alone."""

    team = serializers.CharField(source="team.code", required=False)
    explanations = ExplanationOutput(many=True, required=False)
    holds = HoldOutput(many=True, required=False)

    class Meta(TicketOutput.Meta):
        fields = [*TicketOutput.Meta.fields, "team", "explanations", "holds"]


class IntakeOutput(serializers.Serializer[Any]):
    """The answer to a report."""

    id = serializers.UUIDField(source="ticket.public_id")
    number = serializers.CharField(source="ticket.number")
    status = serializers.ChoiceField(states.Status.choices, source="ticket.status")
    level = serializers.ChoiceField(states.Level.choices, source="ticket.level")
    version = serializers.IntegerField(source="ticket.version")
    url = serializers.SerializerMethodField()
    follow_up_url = serializers.SerializerMethodField(
        help_text="The customer's own page; a secret, for the customer alone."
    )
    warnings = serializers.ListField(source="ticket.warnings", child=serializers.CharField())
    clocks = ClockOutput(many=True)

    def get_url(self, intake: Any) -> str:
        return ticket_url(intake.ticket)

    def get_follow_up_url(self, intake: Any) -> str:
        url: str = self.context["follow_up_url"]
        return url


class MessageOutput(serializers.ModelSerializer[Message]):
    id = serializers.UUIDField(source="public_id")
    author = OwnerOutput(allow_null=True)

    class Meta:
        model = Message
        fields = ["id", "kind", "body", "channel", "author", "created_at"]


class EventOutput(serializers.ModelSerializer[Event]):
    """One thing that happened; ``at`` is its true moment."""

    actor = serializers.CharField(source="actor_label")

    class Meta:
        model = Event
        fields = [
            "id",
            "name",
            "subject",
            "stage",
            "due_at",
            "actor",
            "reason",
            "before",
            "after",
            "params",
            "at",
            "recorded_at",
        ]
