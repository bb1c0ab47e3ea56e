"""The one door for every report: whatever the channel, it leaves the same record."""

import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from aftersales.accounts.actors import Actor, ActorKind
from aftersales.accounts.models import Team
from aftersales.common import dbtime, errors
from aftersales.customers import freetext, normal
from aftersales.customers import intake as customers
from aftersales.customers.models import Contact
from tickets import clocks, conditions, permissions, states
from tickets.clocks import Case
from tickets.clocks import case as engine
from tickets.models import Clock, Ticket
from tickets.models.clock import ACKNOWLEDGE, RESOLUTION, RESPONSE
from tickets.workflow import grading
from tickets.workflow.numbers import next_number

FREE_TEXT = ("subject", "description", "environment", "tried")
EARLIEST = date(1990, 1, 1)
OWN_CHANNELS = {
    ActorKind.SHOP: states.SHOP_CHANNELS,
    ActorKind.PROVIDER: (states.Channel.DEALER,),
}


@dataclass(frozen=True)
class CustomerReport:
    """Who reports, as told; at least a name or company, and a phone number or mail address."""

    name: str = ""
    company: str = ""
    phone: str = ""
    email: str = ""
    address: str = ""


@dataclass(frozen=True)
class ProductReport:
    """What it is about, as told; an unknown model or serial number is taken and marked."""

    model: str = ""
    serial_number: str = ""
    purchased_on: date | None = None
    purchase_channel: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that is recorded at intake (R-IN-2)."""

    kind: str
    channel: str
    subject: str
    description: str
    customer: CustomerReport
    product: ProductReport = field(default_factory=ProductReport)
    occurred_at: datetime | None = None
    environment: str = ""
    tried: str = ""
    demand: str = states.Demand.OTHER.value
    urgency: str = states.Urgency.UNKNOWN.value
    complaint_class: str = ""
    external_ref: str | None = None
    order_number: str = ""
    language: str = "zh-hans"
    submission_id: uuid.UUID | None = None


@dataclass(frozen=True)
class Intake:
    """A report that was taken in: its case and the promises that run."""

    ticket: Ticket
    clocks: list[Clock]


def take_in(report: Report, *, by: Actor) -> Intake:
    """Record a report as a new case, graded by the rules, with its promises running.

    Raises Invalid for impossible values, NotAllowed for a channel that is not the reporter's, and
    Conflict with the first case's id for a repeated ``external_ref``. An unknown product, serial
    or order is no error: the case is marked and the warnings say so.
    """
    shop_id = by.shop.pk if by.shop else None
    try:
        with transaction.atomic():
            now = dbtime.database_now()
            if not permissions.may_take_in(by):
                raise errors.NotAllowed()
            _check(report, by, now)
            return _record(report, shop_id, by=by, now=now)
    except IntegrityError:
        # Sent twice at the same moment: whoever comes second is told of the first.
        if known := _same_submission(report):
            return known
        _refuse_repeated_ref(report, shop_id)
        raise


def _record(report: Report, shop_id: int | None, *, by: Actor, now: datetime) -> Intake:
    if known := _same_submission(report):
        return known
    _refuse_repeated_ref(report, shop_id)
    policy = clocks.in_force(now)
    ticket = Ticket(
        number=next_number(report.kind, now),
        kind=report.kind,
        channel=report.channel,
        urgency=report.urgency,
        demand=report.demand,
        complaint_class=report.complaint_class,
        language=report.language,
        occurred_at=report.occurred_at,
        received_at=now,
        created_at=now,
        policy=policy.version,
        team=Team.objects.get(is_intake=True),
        shop=by.shop,
        external_ref=report.external_ref or None,
        recorded_by=by.user,
        submission_id=report.submission_id,
    )
    _put_text(ticket, report)
    ticket.contact = _contact(report, shop_id)
    _put_product(ticket, report.product)
    _put_order_and_conditions(ticket, report, policy.version.figures, now)
    ticket.level, rules = grading.propose_level(policy, ticket, now)
    case = Case(ticket, now)
    for kind in (ACKNOWLEDGE, RESPONSE, RESOLUTION):
        case.promise(kind)
    case.derive()
    ticket.save(force_insert=True)
    case.record(
        "ticket.received",
        by=by,
        after={"level": ticket.level},
        rules=rules,
        kind=ticket.kind,
        channel=ticket.channel,
    )
    engine.store([case])
    return Intake(ticket, case.clocks)


def _check(report: Report, by: Actor, now: datetime) -> None:
    """Raises Invalid with every impossible value at once, NotAllowed for a channel not theirs."""
    faults = [
        *_choice_faults(report),
        *_text_faults(report),
        *_time_faults(report, now),
        *_customer_faults(report.customer),
    ]
    if report.channel not in OWN_CHANNELS.get(by.kind, states.Channel.values):
        faults.append(
            errors.FieldError(
                "/channel",
                "channel_not_yours",
                _("A shop reports by shop or marketplace, a dealer by dealer."),
            )
        )
    if report.kind in states.INTERNAL_KINDS:
        faults.append(
            errors.FieldError(
                "/kind", "internal_kind", _("Incidents are not reported from outside.")
            )
        )
    if faults:
        raise errors.Invalid(*faults)


def _choice_faults(report: Report) -> list[errors.FieldError]:
    choices = {
        "kind": states.Kind.values,
        "channel": states.Channel.values,
        "demand": states.Demand.values,
        "urgency": states.Urgency.values,
    }
    faults = [
        errors.FieldError(f"/{name}", "unknown_choice", _("Choose one of the listed values."))
        for name, known in choices.items()
        if getattr(report, name) not in known
    ]
    is_complaint = report.kind == states.Kind.COMPLAINT
    if report.complaint_class and report.complaint_class not in states.ComplaintClass.values:
        faults.append(
            errors.FieldError(
                "/complaint_class", "unknown_choice", _("Choose one of the listed values.")
            )
        )
    elif is_complaint and not report.complaint_class:
        faults.append(
            errors.FieldError("/complaint_class", "required", _("Say what the complaint is about."))
        )
    elif report.complaint_class and not is_complaint:
        faults.append(
            errors.FieldError(
                "/complaint_class", "only_for_complaints", _("Only a complaint has a class.")
            )
        )
    return faults


def _text_faults(report: Report) -> list[errors.FieldError]:
    return [
        errors.FieldError(f"/{name}", "required", _("Please fill in this field."))
        for name in ("subject", "description")
        if not getattr(report, name).strip()
    ]


def _time_faults(report: Report, now: datetime) -> list[errors.FieldError]:
    faults = []
    if report.occurred_at is not None and report.occurred_at > now + timedelta(minutes=5):
        faults.append(
            errors.FieldError("/occurred_at", "in_future", _("This moment has not come yet."))
        )
    if report.occurred_at is not None and report.occurred_at.date() < EARLIEST:
        faults.append(
            errors.FieldError(
                "/occurred_at", "too_early", _("This is too long ago; check the year.")
            )
        )
    bought = report.product.purchased_on
    if bought is not None and bought > timezone.localtime(now).date():
        faults.append(
            errors.FieldError("/product/purchased_on", "in_future", _("This day has not come yet."))
        )
    if bought is not None and bought < EARLIEST:
        faults.append(
            errors.FieldError(
                "/product/purchased_on", "too_early", _("This is too long ago; check the year.")
            )
        )
    return faults


def _customer_faults(customer: CustomerReport) -> list[errors.FieldError]:
    faults = []
    if not customer.name.strip() and not customer.company.strip():
        faults.append(
            errors.FieldError("/customer/name", "required", _("Name a person or a company."))
        )
    if not customer.phone.strip() and not customer.email.strip():
        faults.append(
            errors.FieldError(
                "/customer/phone",
                "phone_or_email",
                _("Give a phone number or a mail address, so that we can answer."),
            )
        )
    if customer.phone.strip() and not normal.is_possible_phone(customer.phone):
        faults.append(
            errors.FieldError(
                "/customer/phone",
                "no_phone_number",
                _("This is no phone number; check the digits."),
            )
        )
    if customer.email.strip() and not _is_mail_address(customer.email):
        faults.append(
            errors.FieldError(
                "/customer/email",
                "no_mail_address",
                _("This is no mail address; check its spelling."),
            )
        )
    return faults


def _is_mail_address(text: str) -> bool:
    try:
        validate_email(text.strip())
    except ValidationError:
        return False
    return True


def _same_submission(report: Report) -> Intake | None:
    """The case that this very form has opened already."""
    if report.submission_id is None:
        return None
    ticket = Ticket.objects.filter(submission_id=report.submission_id).first()
    if ticket is None:
        return None
    running = list(ticket.clocks.select_related("target").order_by("pk"))
    return Intake(ticket, running)


def _refuse_repeated_ref(report: Report, shop_id: int | None) -> None:
    if not report.external_ref:
        return
    known = Ticket.objects.filter(shop=shop_id, external_ref=report.external_ref).first()
    if known is not None:
        raise errors.Conflict(
            _("This reference was reported before; the case is linked."),
            code="external_ref_exists",
            known=known,
        )


def _contact(report: Report, shop_id: int | None) -> Contact:
    customer = report.customer
    return customers.find_or_create_contact(
        shop_id=shop_id,
        name=customer.name,
        company=customer.company,
        phone=customer.phone,
        email=customer.email,
        address=customer.address,
        language=report.language,
    )


def _put_text(ticket: Ticket, report: Report) -> None:
    """Store the text with personal data masked, and what was typed, encrypted, beside it."""
    originals = {}
    for name in FREE_TEXT:
        text = getattr(report, name)
        masked, found = freetext.mask_personal_data(text)
        setattr(ticket, name, masked)
        if found:
            originals[name] = text
    if report.order_number:
        originals["order_number"] = report.order_number
    ticket.originals = originals or None


def _put_product(ticket: Ticket, product: ProductReport) -> None:
    """Bind the case to product and unit where the catalogue knows them, else keep what was told."""
    ticket.product_model = product.model
    ticket.serial_number = product.serial_number
    ticket.purchased_on = product.purchased_on
    ticket.purchase_channel = product.purchase_channel
    if product.model:
        ticket.product = customers.find_product(product.model)
    if product.serial_number:
        ticket.unit = customers.find_unit(product.serial_number, ticket.product)
        if ticket.unit is not None and ticket.product is None:
            ticket.product = ticket.unit.product
    unknown_model = bool(product.model) and ticket.product is None
    unknown_serial = bool(product.serial_number) and ticket.unit is None
    ticket.product_unverified = unknown_model or unknown_serial


def _put_order_and_conditions(
    ticket: Ticket, report: Report, figures: dict[str, Any], now: datetime
) -> None:
    """Bind the order, mark the failing conditions of free service."""
    if report.order_number and ticket.shop_id is not None:
        ticket.order = customers.find_order(ticket.shop_id, report.order_number)
    ticket.order_unknown = bool(report.order_number) and ticket.order is None
    unit = ticket.unit
    category = ticket.product.category.code if ticket.product else "other"
    terms = figures["warranty"]["months"]
    ticket.failed_conditions = conditions.failed_conditions(
        text=f"{report.subject}\n{report.description}",
        today=timezone.localtime(now).date(),
        purchased_on=(unit.purchased_on if unit else None) or ticket.purchased_on,
        warranty_until=unit.warranty_until if unit else None,
        warranty_months=terms.get(category, terms["other"]),
        proof_known=ticket.order is not None or bool(unit and unit.purchased_on),
        words=figures["conditions"],
    )
