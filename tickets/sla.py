"""The SLA engine's pure rules: budgets, pauses, stages, and the phase of a clock at a moment.

Nothing here knows the database; every function is given plain values and the moment it is asked
about. Instants are aware datetimes; spans are timedeltas.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from aftersales.common import worktime

BREACH = "0"  # the stage at the deadline itself; every clock has it, whatever its target lists


class Basis(StrEnum):
    ELAPSED = "elapsed"  # 24 × 7, amount in seconds
    WORKING = "working"  # open seconds of the calendar
    WORKING_DAYS = "working_days"
    CIVIL_DAYS = "civil_days"  # 24:00 of the n-th day


class State(StrEnum):
    """What a clock does now. There is no breached state: an overdue promise still runs."""

    RUNNING = "running"
    PAUSED = "paused"
    MET = "met"
    CANCELLED = "cancelled"
    MERGED = "merged"


class Party(StrEnum):
    """Whose promise it is. Only those of *us* count in rates and ask for an explanation."""

    US = "us"
    CUSTOMER = "customer"
    PROVIDER = "provider"


class Phase(StrEnum):
    ON_TIME = "on_time"
    AT_RISK = "at_risk"
    OVERDUE = "overdue"
    PAUSED = "paused"
    MET = "met"
    MET_LATE = "met_late"
    LAPSED = "lapsed"
    CANCELLED = "cancelled"
    MERGED = "merged"


DAY_RULES = {Basis.WORKING_DAYS: worktime.DAY_RULES, Basis.CIVIL_DAYS: worktime.ROLLS}
LONGEST = timedelta(days=3653)  # ten years; what is longer is a slip of the pen


@dataclass(frozen=True)
class Budget:
    """One promised length: ``amount`` in seconds for elapsed and working, in days for the others.

    Raises ValueError for an unknown basis, less than 1 or more than ten years, or a rule that the
    basis has not.
    """

    basis: Basis
    amount: int
    rule: str = ""

    def __post_init__(self) -> None:
        if self.amount < 1:
            raise ValueError("A budget is at least 1.")
        unit = timedelta(days=1) if self.basis in DAY_RULES else timedelta(seconds=1)
        if self.amount > LONGEST / unit:
            raise ValueError("A budget is ten years at the most.")
        if self.rule not in DAY_RULES.get(self.basis, ("",)):
            raise ValueError(f"{self.basis} has no rule {self.rule!r}.")

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Budget":
        """``{"basis": "working_days", "amount": 5, "rule": "end_of_day"}``."""
        return cls(Basis(value["basis"]), int(value["amount"]), value.get("rule", ""))


@dataclass(frozen=True)
class Span:
    """A closed pause: the promise stood still from ``start`` to ``end``."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Stage:
    """A moment of a clock at which something is written and somebody told.

    ``at`` is "80%" (of the budget, in the clock's own basis), "+50%" (that much past the
    deadline), "-15m" / "+2h" (elapsed time before or after it), or "0".
    """

    at: str
    to: tuple[str, ...] = ()
    quiet: bool = False

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Stage":
        """``{"at": "80%", "to": ["owner"], "quiet": false}``; raises ValueError for no moment."""
        stage = cls(value["at"], tuple(value.get("to", ())), bool(value.get("quiet", False)))
        parse_offset(stage.at)
        return stage


@dataclass(frozen=True)
class Plan:
    """When a clock is due and when each of its stages comes, earliest first."""

    due_at: datetime
    stages: tuple[tuple[datetime, str], ...]

    @property
    def risk_at(self) -> datetime | None:
        """The first warning before the deadline; from here on the clock is at risk."""
        return next((at for at, _ in self.stages if at < self.due_at), None)

    def after(self, fired: Iterable[str]) -> tuple[tuple[datetime, str], ...]:
        done = set(fired)
        return tuple((at, key) for at, key in self.stages if key not in done)


_OFFSET = re.compile(r"(?P<sign>[+-]?)(?P<number>\d{1,4})(?P<unit>[%mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def parse_offset(at: str) -> tuple[str, float | timedelta]:
    """("share", 0.8) for "80%", ("share", 1.5) for "+50%", ("shift", -15 min) for "-15m".

    Raises ValueError for anything else, "0%", shares of 100 % and more without a sign, and an
    unsigned span of time.
    """
    if at == BREACH:
        return "shift", timedelta(0)
    match = _OFFSET.fullmatch(at)
    number = int(match["number"]) if match else 0
    if match and number and match["unit"] == "%":
        if match["sign"] == "+":
            return "share", 1 + number / 100
        if not match["sign"] and number < 100:
            return "share", number / 100
    elif match and number and match["sign"]:
        sign = 1 if match["sign"] == "+" else -1
        return "shift", sign * number * _UNITS[match["unit"]]
    raise ValueError(f"Not a stage: {at!r}. Write 80%, +50%, -15m, +2h or 0.")


def united(pauses: Iterable[Span], start: datetime) -> list[Span]:
    """The pauses clipped to ``start``, overlapping ones joined, in order of time."""
    joined: list[Span] = []
    for pause in sorted(pauses, key=lambda span: span.start):
        begin, end = max(pause.start, start), pause.end
        if end <= begin:
            continue
        if joined and begin <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, end))
        else:
            joined.append(Span(begin, end))
    return joined


def deadline(
    calendar: worktime.Calendar,
    budgets: Sequence[Budget],
    start: datetime,
    pauses: Iterable[Span] = (),
) -> datetime:
    """When the promise is due: the earliest of its budgets, each extended by the pauses before it.

    Raises worktime.CalendarEnded when the calendar does not reach that far.
    """
    return _governing(calendar, budgets, start, united(pauses, start))[0]


def plan(
    calendar: worktime.Calendar,
    budgets: Sequence[Budget],
    start: datetime,
    stages: Sequence[Stage],
    pauses: Iterable[Span] = (),
) -> Plan:
    """The deadline and every stage's moment, the stage at the deadline always among them.

    Shares are measured in the basis of the budget that decides the deadline. Where two stages fall
    on one moment, the one listed first comes first.
    """
    standing = united(pauses, start)
    due_at, budget = _governing(calendar, budgets, start, standing)
    keys = [stage.at for stage in stages]
    if BREACH not in keys:
        keys.append(BREACH)
    moments = []
    for key in keys:
        _, offset = parse_offset(key)
        if isinstance(offset, timedelta):
            at = due_at + offset
        else:
            total = _consumed(calendar, budget.basis, start, due_at, standing)
            if offset < 1:
                at = _advance(calendar, budget.basis, start, total * offset, standing)
            else:
                at = _advance(calendar, budget.basis, due_at, total * (offset - 1), [])
        moments.append((max(at, start), key))
    return Plan(due_at, tuple(sorted(moments, key=lambda moment: moment[0])))


def phase(
    state: State,
    party: Party,
    *,
    due_at: datetime,
    risk_at: datetime | None,
    met_at: datetime | None,
    now: datetime,
    resumes_at: datetime | None = None,
) -> Phase:
    """What a reader sees at ``now``, whether or not a worker has been there since.

    A promise kept at the very moment it is due is kept in time. One that stands still runs on by
    itself after ``resumes_at``.
    """
    if state == State.MET:
        return Phase.MET if met_at is not None and met_at <= due_at else Phase.MET_LATE
    runs_again = state == State.PAUSED and resumes_at is not None and resumes_at < now
    if state != State.RUNNING and not runs_again:
        return Phase(state)
    if due_at < now:
        return Phase.OVERDUE if party == Party.US else Phase.LAPSED
    return Phase.AT_RISK if risk_at is not None and risk_at < now else Phase.ON_TIME


def _governing(
    calendar: worktime.Calendar, budgets: Sequence[Budget], start: datetime, standing: list[Span]
) -> tuple[datetime, Budget]:
    dues = [(_due(calendar, budget, start, standing), budget) for budget in budgets]
    return min(dues, key=lambda due: due[0])


def _due(
    calendar: worktime.Calendar, budget: Budget, start: datetime, standing: list[Span]
) -> datetime:
    if budget.basis in (Basis.ELAPSED, Basis.WORKING):
        amount = timedelta(seconds=budget.amount)
        return _advance(calendar, budget.basis, start, amount, standing)
    if budget.basis == Basis.WORKING_DAYS:
        base = calendar.due_days(start, budget.amount, budget.rule)
    else:
        base = calendar.due_civil_days(start, budget.amount, budget.rule)
    return _advance(calendar, budget.basis, base, timedelta(0), standing)


def _advance(
    calendar: worktime.Calendar,
    basis: Basis,
    start: datetime,
    amount: timedelta,
    standing: list[Span],
) -> datetime:
    """The moment at which ``amount`` is used up, when nothing is used during the pauses.

    A pause counts when it begins before that moment; one that begins later changes nothing.
    """
    moment = _step(calendar, basis, start, amount)
    for pause in standing:
        if pause.start >= moment:
            break
        amount += _elapsed(calendar, basis, pause.start, pause.end)
        moment = _step(calendar, basis, start, amount)
    return moment


def _consumed(
    calendar: worktime.Calendar, basis: Basis, start: datetime, end: datetime, standing: list[Span]
) -> timedelta:
    used = _elapsed(calendar, basis, start, end)
    for pause in standing:
        if pause.start < end:
            used -= _elapsed(calendar, basis, pause.start, min(pause.end, end))
    return used


def _step(
    calendar: worktime.Calendar, basis: Basis, start: datetime, amount: timedelta
) -> datetime:
    if basis in (Basis.ELAPSED, Basis.CIVIL_DAYS) or not amount:
        return start + amount
    return calendar.due(start, amount)


def _elapsed(
    calendar: worktime.Calendar, basis: Basis, start: datetime, end: datetime
) -> timedelta:
    if basis in (Basis.ELAPSED, Basis.CIVIL_DAYS):
        return end - start
    return calendar.elapsed(start, end)
