"""Plays the demo's cases through the workflow, each step at its own moment of the last weeks.

Between the steps the clocks run: stages fire when they are due, the relay tells people then, and
what nobody objects to is closed, as if workers had been there all the time.
"""

import re
import tomllib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from aftersales.accounts import actors
from aftersales.accounts.actors import Actor
from aftersales.common import dbtime, errors
from aftersales.common.worktime import Calendar
from aftersales.messaging import relay
from aftersales.setup.demo import goods, people
from tickets import clocks, workflow
from tickets.clocks import calendars
from tickets.models import Explanation, Ticket
from tickets.workflow import ProductReport, Report, Words

CASES = uuid.UUID("6f1f7a52-5d0e-4c39-9a53-6d1a1f8f2b10")  # the namespace of their submission ids
A_MOMENT = timedelta(milliseconds=400)  # how late a busy worker flags
REPORT_FIELDS = (
    *("kind", "channel", "subject", "description", "environment", "tried", "demand", "urgency"),
    *("complaint_class", "external_ref", "language"),
)
LATE = {"cause": "周末配送暂停，备件晚到", "remedy": "已改约最早的时段并告知客户"}

_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def submission_id(name: str) -> uuid.UUID:
    """Marks a case of the demo; ``name`` is its ``key`` or its place in the file."""
    return uuid.uuid5(CASES, name)


@dataclass
class Story:
    """One case of the file and how far it has come."""

    facts: dict[str, Any]
    name: str
    ended_by: str = ""


@dataclass(frozen=True, order=True)
class Step:
    """One thing that somebody does at one moment."""

    at: datetime
    number: int
    story: Story = field(compare=False)
    script: str = field(compare=False)


class Play:
    """Everybody who acts, and the calendar that the moments are counted by."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        policy = clocks.in_force(now).version
        version = calendars.newest_version(policy.default_calendar_id)
        self.calendar = calendars.calendar(version.pk)
        self.users = {name: actors.staff(user) for name, user in people.users().items()}
        self.shops = {code: actors.shop(client) for code, client in people.shop_clients().items()}

    def perform(self, stories: list[Story]) -> None:
        """Play them all, in the order of time."""
        steps = sorted(self._steps(stories))
        for step in steps:
            if step.at >= self.now or step.story.ended_by:
                continue
            let_clocks_run(step.at)
            with dbtime.at(step.at):
                try:
                    self._do(step)
                except (errors.WrongState, errors.Conflict) as refusal:
                    step.story.ended_by = f"{step.script}: {refusal.code}"
                relay.relay_fan_out()
        let_clocks_run(self.now)

    def _steps(self, stories: list[Story]) -> Iterator[Step]:
        number = 0
        for story in stories:
            plain = story.facts["at"].startswith("now")
            at = begin(self.calendar, self.now, story.facts["at"])
            for script in ["0m take_in", *story.facts["script"]]:
                delay, _, rest = script.partition(" ")
                at = later(self.calendar, at, delay, plain=plain)
                number += 1
                yield Step(at, number, story, rest)

    def _do(self, step: Step) -> None:
        if step.script == "take_in":
            self._take_in(step.story)
            return
        verb, _, rest = step.script.partition(" ")
        who, _, words = rest.partition(" ")
        ticket = Ticket.objects.get(submission_id=submission_id(step.story.name))
        VERBS[verb](ticket.pk, self._actor(who, ticket), words, self)

    def _take_in(self, story: Story) -> None:
        facts = story.facts
        given = {name: facts[name] for name in REPORT_FIELDS if name in facts}
        who = facts["by"]
        by = self.users.get(who) or self.shops.get(who) or actors.SYSTEM
        report = Report(
            **given,
            customer=goods.reporter(facts["customer"]),
            product=ProductReport(facts.get("product", ""), facts.get("serial", "")),
            order_number=facts.get("order", ""),
            submission_id=submission_id(story.name),
        )
        workflow.take_in(report, by=by)

    def _actor(self, who: str, ticket: Ticket) -> Actor:
        if who == "customer":
            return actors.customer(ticket.contact_id or 0)
        return self.users[who]


def read_stories() -> list[Story]:
    text = (goods.FOLDER / "cases.toml").read_text(encoding="utf-8")
    cases = tomllib.loads(text)["case"]
    return [Story(facts, facts.get("key", str(place))) for place, facts in enumerate(cases)]


def let_clocks_run(until: datetime) -> None:
    """Flag what falls due before ``until``, each at its own time, and tell whom it concerns."""
    while True:
        due = Ticket.objects.due_to_wake(until).order_by("wake_at")
        wake_at = due.values_list("wake_at", flat=True).first()
        if wake_at is None:
            return
        with dbtime.at(min(wake_at + A_MOMENT, until)):
            clocks.sweep()
            workflow.close_unanswered()
            relay.relay_fan_out()


def begin(calendar: Calendar, now: datetime, at: str) -> datetime:
    """ "9 14:05" is 14:05 of the ninth working day before today; "now -28m" so long ago."""
    first, _, rest = at.partition(" ")
    if first == "now":
        return now - _span(rest.removeprefix("-"))
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    days_left = int(first)
    while days_left:
        midnight = (midnight - timedelta(hours=12)).replace(hour=0)
        days_left -= bool(calendar.windows(midnight, midnight + timedelta(hours=24)))
    hour, _, minute = rest.partition(":")
    return midnight.replace(hour=int(hour), minute=int(minute))


def later(calendar: Calendar, at: datetime, delay: str, *, plain: bool) -> datetime:
    """So long after ``at``: in service hours, a day being a working day, or in plain time."""
    if plain:
        return at + _span(delay)
    days = re.match(r"(\d+)d", delay)
    if days:
        at = calendar.due_days(at, int(days[1]), "same_time")
        delay = delay[days.end() :]
    return calendar.due(at, _span(delay))


def _span(text: str) -> timedelta:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"Not a span: {text!r}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


# --- what people do ------------------------------------------------------------------------------

Verb = Callable[[int, Actor, str, Play], object]


def _grade(ticket_id: int, by: Actor, words: str, play: Play) -> None:
    level, _, reason = words.partition(" ")
    workflow.grade_ticket(ticket_id, level=level, reason=reason or "符合分级标准", by=by)


def _assign(ticket_id: int, by: Actor, words: str, play: Play) -> None:
    owner = play.users[words].user
    workflow.assign_ticket(ticket_id, owner_id=owner.pk if owner else 0, by=by)


def _complained_of(ticket_id: int, by: Actor, words: str, play: Play) -> None:
    person = play.users[words].user
    workflow.name_complained_of(ticket_id, user_id=person.pk if person else 0, by=by)


def _explain(ticket_id: int, by: Actor, words: str, play: Play) -> None:
    cause, _, remedy = words.partition("|")
    states = (Explanation.State.DUE, Explanation.State.RETURNED)
    number = _explanation(ticket_id, *states)
    promise = _new_promise(play)
    workflow.submit_explanation(
        ticket_id, number, cause=cause, remedy=remedy, new_promise_at=promise, by=by
    )


def _new_promise(play: Play) -> datetime:
    """A new promise: a working day from now."""
    return play.calendar.due_days(dbtime.database_now(), 1, "same_time")


def _sign(ticket_id: int, by: Actor, words: str, play: Play) -> None:
    number = _explanation(ticket_id, Explanation.State.SUBMITTED)
    workflow.sign_explanation(ticket_id, number, by=by)


def _return(ticket_id: int, by: Actor, words: str, play: Play) -> None:
    number = _explanation(ticket_id, Explanation.State.SUBMITTED)
    workflow.return_explanation(ticket_id, number, reason=words, by=by)


def _explanation(ticket_id: int, *states: str) -> int:
    """The first explanation in one of these states. Raises Conflict if there is none."""
    found = Explanation.objects.filter(ticket=ticket_id, state__in=states).order_by("number")
    number = found.values_list("number", flat=True).first()
    if number is None:
        raise errors.Conflict(code="nothing_to_explain")
    return int(number)


def _close(ticket_id: int, by: Actor, words: str, play: Play) -> None:
    for explanation in Explanation.objects.filter(ticket=ticket_id).order_by("number"):
        if explanation.is_open:
            if explanation.state != Explanation.State.SUBMITTED:
                workflow.submit_explanation(
                    ticket_id, explanation.number, new_promise_at=None, by=by, **LATE
                )
            workflow.sign_explanation(ticket_id, explanation.number, by=play.users["manager"])
    workflow.close_ticket(ticket_id, by=by)


VERBS: dict[str, Verb] = {
    "grade": _grade,
    "file": lambda pk, by, words, play: workflow.file_grading(pk, by=by),
    "return_filing": lambda pk, by, words, play: workflow.return_filing(pk, reason=words, by=by),
    "assign": _assign,
    "complained_of": _complained_of,
    "start": lambda pk, by, words, play: workflow.start_ticket(pk, by=by),
    "reply": lambda pk, by, words, play: workflow.reply_to_customer(pk, Words(words), by=by),
    "note": lambda pk, by, words, play: workflow.write_note(pk, Words(words), by=by),
    "write": lambda pk, by, words, play: workflow.write_as_customer(pk, Words(words), by=by),
    "urge": lambda pk, by, words, play: workflow.urge_ticket(pk, by=by),
    "wait": lambda pk, by, words, play: workflow.wait_ticket(pk, reason=words, by=by),
    "resume": lambda pk, by, words, play: workflow.resume_ticket(pk, by=by),
    "resolve": lambda pk, by, words, play: workflow.resolve_ticket(pk, resolution=words, by=by),
    "close": _close,
    "reopen": lambda pk, by, words, play: workflow.reopen_ticket(pk, reason=words, by=by),
    "cancel": lambda pk, by, words, play: workflow.cancel_ticket(pk, reason=words, by=by),
    "explain": _explain,
    "sign": _sign,
    "return": _return,
}
