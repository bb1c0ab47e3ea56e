"""What the calls about cases take. Shape only; what is right in a case's state, workflow says."""

from typing import Any

from rest_framework import serializers

from aftersales.common.api.serializers import StrictSerializer
from aftersales.customers.models import PurchaseChannel
from tickets import states, workflow

LONG_TEXT = 20_000  # characters; some twenty pages


def text(max_length: int = LONG_TEXT, **options: Any) -> serializers.CharField:
    return serializers.CharField(max_length=max_length, **options)


def optional_text(max_length: int = LONG_TEXT) -> serializers.CharField:
    return text(max_length, required=False, allow_blank=True, default="")


class CustomerInput(StrictSerializer):
    name = optional_text(80)
    company = optional_text(120)
    phone = optional_text(40)
    email = optional_text(254)
    address = optional_text(300)


class ProductInput(StrictSerializer):
    model = optional_text(80)
    serial_number = optional_text(80)
    purchased_on = serializers.DateField(required=False, allow_null=True, default=None)
    purchase_channel = serializers.ChoiceField(
        PurchaseChannel.choices, required=False, allow_blank=True, default=""
    )


class TicketInput(StrictSerializer):
    kind = serializers.ChoiceField(states.REPORTED_KINDS)
    channel = serializers.ChoiceField(states.Channel.choices)
    subject = text(200)
    description = text()
    occurred_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    environment = optional_text()
    tried = optional_text()
    demand = serializers.ChoiceField(
        states.Demand.choices, required=False, default=states.Demand.OTHER.value
    )
    urgency = serializers.ChoiceField(
        states.Urgency.choices, required=False, default=states.Urgency.UNKNOWN.value
    )
    complaint_class = serializers.ChoiceField(
        states.ComplaintClass.choices, required=False, allow_blank=True, default=""
    )
    external_ref = text(80, required=False, allow_null=True, default=None)
    order_number = optional_text(80)
    customer = CustomerInput()
    product = ProductInput(required=False)

    def create_report(self, language: str) -> workflow.Report:
        values = dict(self.validated_data)
        customer = workflow.CustomerReport(**values.pop("customer"))
        product = workflow.ProductReport(**values.pop("product", {}))
        return workflow.Report(customer=customer, product=product, language=language, **values)


class ListQuery(StrictSerializer):
    status = serializers.ChoiceField(states.Status.choices, required=False)
    level = serializers.ChoiceField(states.Level.choices, required=False)
    overdue = serializers.BooleanField(required=False)


class MessageInput(StrictSerializer):
    body = text()
    internal = serializers.BooleanField(required=False, default=False)


class GradeInput(StrictSerializer):
    level = serializers.ChoiceField(states.Level.choices)
    reason = optional_text(2000)


class FileInput(StrictSerializer):
    decision = serializers.ChoiceField(["file", "return"], required=False, default="file")
    reason = optional_text(2000)


class AssignInput(StrictSerializer):
    owner = text(20, help_text="The staff number.")
    reason = optional_text(2000)


class ComplainedOfInput(StrictSerializer):
    person = text(20, help_text="The staff number.")


class WaitInput(StrictSerializer):
    reason = text(50, help_text="A code of the policy's reasons for waiting.")


class ResolveInput(StrictSerializer):
    resolution = text()


class ReasonInput(StrictSerializer):
    reason = text(2000)


class OptionalReasonInput(StrictSerializer):
    reason = optional_text(2000)


class NothingInput(StrictSerializer):
    """An empty body."""


class ExplanationInput(StrictSerializer):
    cause = text(4000)
    remedy = text(4000)
    new_promise_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
