"""Which event of a case goes to whom, and in which words. The relay asks ``expand``, once an event.

``RULES`` is the whole of it: the customer gets a ``Letter`` (mail, else SMS; its values are in
tickets.letters), a member of staff a ``Bell`` (one line in the page), other systems a ``Hook``.
The texts are in templates/tickets/messages/ and templates/tickets/notices/.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from aftersales.accounts.actors import ActorKind
from aftersales.accounts.models import Role, User
from aftersales.common import dbtime
from aftersales.messaging import links, topics, webhooks
from aftersales.messaging.drafts import ContactRef, Draft, MailDraft, NoticeDraft, SmsDraft
from tickets import clocks, letters, sla, states
from tickets.clocks import calendars, rows
from tickets.models import Event, Explanation, Ticket

# Receipts go to an address that nobody has verified, so a flood of reports must not become a flood
# of mails; whoever is left out still has the number and the link from where the report was made.
RECEIPTS_AN_HOUR = 3


@dataclass(frozen=True)
class Happening:
    """One event with what the rules ask about it."""

    event: Event
    now: datetime

    @property
    def ticket(self) -> Ticket:
        return self.event.ticket

    @cached_property
    def supervisors(self) -> list[int]:
        """Those of the team, without the person complained of; where there are none, managers."""
        team = User.objects.filter(team=self.ticket.team_id)
        return self._holders(team, Role.SUPERVISOR) or self.managers

    @cached_property
    def managers(self) -> list[int]:
        return self._holders(User.objects.all(), Role.MANAGER)

    def _holders(self, users: Any, role: str) -> list[int]:
        active = users.filter(roles__contains=[role], is_active=True)
        ids = active.order_by("pk").values_list("pk", flat=True)
        return [pk for pk in ids if pk != self.ticket.complained_of_id]

    @cached_property
    def explanation(self) -> Explanation | None:
        """The overdue explanation that this event is about."""
        of_ticket = Explanation.objects.filter(ticket=self.ticket)
        if self.event.name == "clock.breached":
            still_due = of_ticket.filter(clock=self.event.clock_id, state=Explanation.State.DUE)
            return still_due.order_by("-number").first()
        number = self.event.subject
        return of_ticket.filter(number=int(number)).first() if number.isdigit() else None

    @property
    def stage(self) -> sla.Stage | None:
        """The stage that a clock has reached, as its target describes it."""
        clock = self.event.clock
        if clock is None:
            return None
        stages = (stage for stage in clock.target.parsed_stages if stage.at == self.event.stage)
        return next(stages, None)


# --- who ---------------------------------------------------------------------------------------

Who = Callable[[Happening], Iterable[int]]


def owner(happening: Happening) -> list[int]:
    """Whoever handles the case; without an owner who is there, the team's supervisors."""
    found = happening.ticket.owner
    if found is None or not found.is_active:
        return happening.supervisors
    return [found.pk]


def supervisors(happening: Happening) -> list[int]:
    return happening.supervisors


def managers(happening: Happening) -> list[int]:
    return happening.managers


def author(happening: Happening) -> list[int]:
    """Who wrote the explanation."""
    explanation = happening.explanation
    found = explanation.author if explanation else None
    return [found.pk] if found is not None and found.is_active else owner(happening)


STAGE_NAMES: dict[str, Who] = {"owner": owner, "supervisor": supervisors, "manager": managers}


def named_by_stage(happening: Happening) -> list[int]:
    """Whom the policy names for this stage of the clock (``to``)."""
    stage = happening.stage
    names = stage.to if stage else ()
    return [pk for name in names for pk in STAGE_NAMES[name](happening)]


# --- when --------------------------------------------------------------------------------------

When = Callable[[Happening], bool]


def always(happening: Happening) -> bool:
    return True


def needs_filing(happening: Happening) -> bool:
    """Urgent and important cases go to the manager."""
    return happening.event.after.get("level") in states.FILED_LEVELS


def urged_too_often(happening: Happening) -> bool:
    figures = clocks.policy(happening.ticket.policy_id).version.figures
    return bool(happening.event.params["urges"] >= figures["urges"]["alert_at"])


def waits_for_customer(happening: Happening) -> bool:
    reasons = clocks.policy(happening.ticket.policy_id).pause_reasons
    reason = reasons.get(happening.event.params["waiting_for"])
    return reason is not None and reason.ends_on_customer_message


def lapsed(happening: Happening) -> bool:
    """Nobody ended the wait: its longest time is over."""
    return bool(happening.event.params.get("because") == "lapsed")


def by_customer(happening: Happening) -> bool:
    return happening.event.actor_kind in (ActorKind.CUSTOMER, ActorKind.SHOP)


def not_by_customer(happening: Happening) -> bool:
    return not by_customer(happening)


def latest(happening: Happening) -> bool:
    """After an outage only the last stage that was reached is told."""
    return not happening.event.params.get("superseded")


def still_ahead(happening: Happening) -> bool:
    """A warning is worth nothing once the promise is kept."""
    clock = happening.event.clock
    return latest(happening) and clock is not None and clock.is_live


def explanation_is_due(happening: Happening) -> bool:
    return happening.explanation is not None


# --- what --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Letter:
    """A message to the customer: by mail if there is an address, else by SMS, with their link."""

    name: str
    when: When = always
    at_most: int | None = None

    def drafts(self, happening: Happening) -> Iterator[Draft]:
        contact = happening.ticket.contact
        if contact is None or not (contact.email or contact.phone):
            return
        link = links.reuse(
            states.CASE_LINK,
            str(happening.ticket.public_id),
            lives=states.CASE_LINK_LIVES,
            now=happening.now,
        )
        draft = MailDraft if contact.email else SmsDraft
        yield draft(
            ContactRef(contact.pk),
            f"tickets/{self.name}",
            _letter_params(happening),
            link_id=link.pk,
            at_most=self.at_most,
        )


@dataclass(frozen=True)
class Bell:
    """One line in the page for each of these people, but not for whoever did it."""

    name: str
    who: Who
    when: When = always

    def drafts(self, happening: Happening) -> Iterator[Draft]:
        for user_id in dict.fromkeys(self.who(happening)):
            if user_id != happening.event.actor_user_id:
                yield NoticeDraft(user_id, self.key, _notice_params(happening))

    @property
    def key(self) -> str:
        return f"tickets.{self.name}"


@dataclass(frozen=True)
class Hook:
    """A call of the endpoints of the case's shop and of the firm: ids, number, status, level."""

    when: When = always

    def drafts(self, happening: Happening) -> Iterator[Draft]:
        ticket, event = happening.ticket, happening.event
        data = {
            "id": str(ticket.public_id),
            "number": ticket.number,
            "status": ticket.status,
            "level": ticket.level,
        }
        yield from webhooks.drafts_for(ticket.shop_id, event.name, data, at=event.at)


def _letter_params(happening: Happening) -> dict[str, Any]:
    event = happening.event
    params: dict[str, Any] = {"ticket": happening.ticket.pk}
    if "message" in event.params:
        params["message"] = event.params["message"]
    if event.name == "ticket.assigned":
        params["reassigned"] = event.before.get("owner") is not None
    return params


def _notice_params(happening: Happening) -> dict[str, Any]:
    ticket, event = happening.ticket, happening.event
    params: dict[str, Any] = {
        "ticket": str(ticket.public_id),
        "number": ticket.number,
        "level": event.after.get("level", ticket.level),
    }
    if event.clock is not None and event.due_at is not None:
        params |= {"promise": event.clock.kind, "due_at": event.due_at.isoformat()}
    if "urges" in event.params:
        params["urges"] = event.params["urges"]
    if event.name in EXPLAINED and happening.explanation is not None:
        params["explanation"] = happening.explanation.number
    return params


# --- the table ---------------------------------------------------------------------------------

EXPLAINED = (
    "clock.breached",
    "explanation.submitted",
    "explanation.returned",
    "explanation.signed",
)

RULES: dict[str, tuple[Letter | Bell | Hook, ...]] = {
    "ticket.received": (
        Letter("received", at_most=RECEIPTS_AN_HOUR),
        Bell("grading_proposed", supervisors),
        Hook(),
    ),
    "ticket.graded": (Bell("grading_to_file", managers, when=needs_filing), Hook()),
    "ticket.filing_returned": (Bell("filing_returned", supervisors),),
    "ticket.assigned": (Letter("assigned"), Bell("assigned", owner), Hook()),
    "ticket.started": (Hook(),),
    "ticket.replied": (Letter("replied"), Hook()),
    "ticket.customer_wrote": (Bell("customer_wrote", owner), Hook()),
    "ticket.file_attached": (Bell("file_attached", owner, when=by_customer),),
    "ticket.urged": (
        Bell("urged", owner),
        Bell("urged_often", supervisors, when=urged_too_often),
        Hook(),
    ),
    "ticket.waiting": (Letter("waiting", when=waits_for_customer), Hook()),
    "ticket.resumed": (Bell("wait_over", owner, when=lapsed), Hook()),
    "ticket.resolved": (Letter("resolved"), Hook()),
    "ticket.closed": (Letter("closed"), Hook()),
    "ticket.reopened": (Letter("reopened"), Bell("reopened", owner), Hook()),
    "ticket.cancelled": (
        Letter("cancelled", when=not_by_customer),
        Bell("cancelled", owner),
        Hook(),
    ),
    "clock.warned": (Bell("clock_warned", named_by_stage, when=still_ahead),),
    "clock.breached": (
        Bell("clock_breached", named_by_stage, when=latest),
        Bell("explanation_due", owner, when=explanation_is_due),
    ),
    "clock.escalated": (Bell("clock_escalated", named_by_stage, when=latest),),
    "clock.lapsed": (Bell("clock_lapsed", named_by_stage, when=latest),),
    "clock.provisional": (Bell("clock_provisional", managers),),
    "explanation.submitted": (Bell("explanation_submitted", managers),),
    "explanation.returned": (Bell("explanation_returned", author),),
    "explanation.signed": (Bell("explanation_signed", author),),
}


def expand(payload: Mapping[str, Any]) -> list[Draft]:
    """The messages that one event asks for. Writes the case's link if it has none.

    Raises Postponed for a quiet stage outside service hours: nobody is told at night.
    """
    event = (
        Event.objects.select_related("ticket__owner", "ticket__contact", "clock__target")
        .filter(pk=payload["event"])
        .first()
    )
    if event is None or event.name not in RULES:
        return []
    happening = Happening(event, dbtime.database_now())
    _wait_for_service_hours(happening)
    return [
        draft
        for line in RULES[event.name]
        if line.when(happening)
        for draft in line.drafts(happening)
    ]


def _wait_for_service_hours(happening: Happening) -> None:
    clock, stage = happening.event.clock, happening.stage
    if clock is None or stage is None or not stage.quiet:
        return
    opening = calendars.endless_calendar(clock.calendar_version_id).next_open(happening.now)
    if opening > happening.now:
        raise topics.Postponed("QuietHours", until=opening)


def register() -> None:
    """Tell messaging who expands our events, and where links, letters and notices are."""
    topics.register(rows.TOPIC, expand=expand)
    topics.register_link(states.CASE_LINK, "tickets:customer-case")
    for name, values in letters.VALUES.items():
        topics.register_template(f"tickets/{name}", values)
    for lines in RULES.values():
        for line in lines:
            if isinstance(line, Bell):
                topics.register_notice(line.key, f"tickets/notices/{line.name}.txt")
