"""The words of a case and its state machine, as plain data.

``TRANSITIONS`` is the one table of the ticket's machine: event → (states it may come from, state
it leads to, who may). Workflow obeys it, the API lists its allowed events, the diagram in
ARCHITECTURE.md and the generated tests are made from it.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Status(TextChoices):
    NEW = "new", _("New")
    ASSIGNED = "assigned", _("Assigned")
    IN_PROGRESS = "in_progress", _("In progress")
    WAITING = "waiting", _("Waiting")
    RESOLVED = "resolved", _("Resolved")
    CLOSED = "closed", _("Closed")
    CANCELLED = "cancelled", _("Cancelled")
    MERGED = "merged", _("Merged")


OPEN = (Status.NEW, Status.ASSIGNED, Status.IN_PROGRESS, Status.WAITING)
ENDED = (Status.CLOSED, Status.CANCELLED, Status.MERGED)


class Kind(TextChoices):
    FAULT = "fault", _("Fault")
    COMPLAINT = "complaint", _("Complaint")
    ADVICE = "advice", _("Advice")
    RETURN = "return", _("Return")
    EXCHANGE = "exchange", _("Exchange")
    REPAIR = "repair", _("Repair")
    INSTALLATION = "installation", _("Installation")
    MAINTENANCE = "maintenance", _("Maintenance")
    DELIVERY = "delivery", _("Delivery enquiry")
    SUGGESTION = "suggestion", _("Suggestion")
    INCIDENT = "incident", _("Incident")
    IMPROVEMENT = "improvement", _("Improvement")


INTERNAL_KINDS = (Kind.INCIDENT, Kind.IMPROVEMENT)
REPORTED_KINDS = [choice for choice in Kind.choices if choice[0] not in INTERNAL_KINDS]
PREFIXES = {
    Kind.FAULT: "GZ",
    Kind.COMPLAINT: "TS",
    Kind.ADVICE: "ZX",
    Kind.RETURN: "TH",
    Kind.EXCHANGE: "HH",
    Kind.REPAIR: "WX",
    Kind.INSTALLATION: "AZ",
    Kind.MAINTENANCE: "BY",
    Kind.DELIVERY: "WL",
    Kind.SUGGESTION: "JY",
    Kind.INCIDENT: "SJ",
    Kind.IMPROVEMENT: "GJ",
}


class Channel(TextChoices):
    PHONE = "phone", _("Phone")
    CHAT = "chat", _("Online chat")
    PUBLIC_ACCOUNT = "public_account", _("Public account")
    MINI_PROGRAM = "mini_program", _("Mini program")
    EMAIL = "email", _("E-mail")
    DEALER = "dealer", _("Dealer")
    WALK_IN = "walk_in", _("Walk-in")
    SHOP = "shop", _("Shop")
    MARKETPLACE = "marketplace", _("Marketplace")
    SOCIAL = "social", _("Social media")
    AUTHORITY = "authority", _("Authority")
    WEB = "web", _("Web form")


SHOP_CHANNELS = (Channel.SHOP, Channel.MARKETPLACE)


class Demand(TextChoices):
    REPAIR = "repair", _("Repair")
    REPLACEMENT = "replacement", _("Replacement")
    RETURN = "return", _("Return")
    REFUND = "refund", _("Refund only")
    COMPENSATION = "compensation", _("Compensation")
    ADVICE = "advice", _("Technical advice")
    GUIDANCE = "guidance", _("Usage guidance")
    COMPLAINT = "complaint", _("Complaint")
    OTHER = "other", _("Other")


class Urgency(TextChoices):
    """How urgent the customer says it is; the level is decided by us."""

    URGENT = "urgent", _("Urgent")
    IMPORTANT = "important", _("Important")
    GENERAL = "general", _("General")
    UNKNOWN = "unknown", _("Not said")


class Level(TextChoices):
    """The three levels of manual E, strictest first."""

    URGENT = "urgent", _("Urgent")
    IMPORTANT = "important", _("Important")
    GENERAL = "general", _("General")


FILED_LEVELS = (Level.URGENT, Level.IMPORTANT)  # these go to the manager for filing (manual E)


class Grading(TextChoices):
    PROPOSED = "proposed", _("Proposed")
    CONFIRMED = "confirmed", _("Confirmed")
    FILED = "filed", _("Filed")


class ComplaintClass(TextChoices):
    PRODUCT = "product", _("Product quality")
    SERVICE = "service", _("Service")
    ORDER = "order", _("Order handling")
    INFORMATION = "information", _("Information")
    OTHER = "other", _("Other")


# The purpose of the customer's secret link, which opens their page, and how long it lives.
CASE_LINK = "case"
CASE_LINK_LIVES = timedelta(days=90)


@dataclass(frozen=True)
class Transition:
    """One event of the machine. ``to`` None leaves the state as it is."""

    sources: tuple[Status, ...]
    to: Status | None
    may: str  # the name of a predicate in tickets.permissions


TRANSITIONS: dict[str, Transition] = {
    "assign": Transition(OPEN, None, "may_assign"),
    "name_complained_of": Transition(OPEN, None, "may_assign_others"),
    "start": Transition((Status.ASSIGNED,), Status.IN_PROGRESS, "may_handle"),
    "reply": Transition((*OPEN, Status.RESOLVED), None, "may_reply"),
    "write": Transition((*OPEN, Status.RESOLVED), None, "may_write_as_customer"),
    "note": Transition(tuple(Status), None, "may_note"),
    "attach": Transition((*OPEN, Status.RESOLVED), None, "may_attach"),
    "grade": Transition(OPEN, None, "may_grade"),
    "file": Transition((*OPEN, Status.RESOLVED), None, "may_file"),
    "return_filing": Transition((*OPEN, Status.RESOLVED), None, "may_file"),
    "wait": Transition((Status.ASSIGNED, Status.IN_PROGRESS), Status.WAITING, "may_handle"),
    "resume": Transition((Status.WAITING,), Status.IN_PROGRESS, "may_handle"),
    "urge": Transition(OPEN, None, "may_urge"),
    "resolve": Transition(
        (Status.ASSIGNED, Status.IN_PROGRESS, Status.WAITING), Status.RESOLVED, "may_handle"
    ),
    "close": Transition((Status.RESOLVED,), Status.CLOSED, "may_close"),
    "reopen": Transition((Status.RESOLVED, Status.CLOSED), Status.IN_PROGRESS, "may_reopen"),
    "cancel": Transition(OPEN, Status.CANCELLED, "may_cancel"),
}
