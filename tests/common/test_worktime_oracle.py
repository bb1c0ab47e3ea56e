"""The calendar against a slow computation that shares no code, and no idea, with it.

``Clock`` walks a zone through 18 months minute by minute and notes when the local clock first
showed each wall time. ``Oracle`` marks every open minute on a strip of those months and answers by
walking along it. Both know nothing of prefix sums, gaps or folds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from aftersales.common.worktime import DAY_RULES, ROLLS, Calendar, CalendarEnded

Hours = list[tuple[str, str]]

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MINUTES = 546 * 24 * 60  # to the end of June 2027
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
FIRST_DATE, LAST_DATE = date(2026, 1, 3), date(2027, 6, 28)  # whole dates in every zone
ZONES = [
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour
    "America/St_Johns",  # offset of half an hour
    "Africa/Casablanca",  # back for Ramadan, on again after it
]
CASES = 1_680  # a zone: 10,080 in all
CASES_PER_CALENDAR = 28


class Clock:
    """What a zone's clock shows in each minute, and the minute when it first shows a time."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self.shown = [self._wall(minute) for minute in range(MINUTES)]
        self.changes = [
            minute
            for minute in range(1, MINUTES)
            if self.shown[minute] != self.shown[minute - 1] + 1
        ]
        self.first: dict[int, int] = {}
        reached = self.shown[0]
        for minute, wall in enumerate(self.shown):
            while reached <= wall:
                self.first[reached] = minute
                reached += 1

    def _wall(self, minute: int) -> int:
        """Minutes of the local calendar, as if they were UTC."""
        moment = datetime.fromtimestamp(BEGIN.timestamp() + minute * 60, self.zone)
        return (moment.toordinal() * 24 + moment.hour) * 60 + moment.minute

    def minute_of(self, day: date, clock: str = "00:00") -> int:
        hours, minutes = clock.split(":")
        return self.first[(day.toordinal() * 24 + int(hours)) * 60 + int(minutes)]

    def date_of(self, moment: datetime) -> date:
        return date.fromordinal(self.shown[minute_of(moment)] // (24 * 60))


def clock_time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def minute_of(moment: datetime) -> int:
    return (moment - BEGIN) // MINUTE


class Oracle:
    """One calendar as a strip of minutes, 1 where it is open."""

    def __init__(
        self, clock: Clock, week: dict[int, Hours], dates: dict[date, Hours], until: date
    ) -> None:
        self.clock, self.dates = clock, dates
        self.last = until
        self.end = clock.minute_of(until + DAY)
        self.strip = bytearray(MINUTES)
        day = FIRST_DATE
        while day <= self.last:
            hours = dates[day] if day in dates else week.get(day.weekday(), [])
            for opens, closes in hours:
                begin, end = clock.minute_of(day, opens), clock.minute_of(day, closes)
                self.strip[begin:end] = b"\1" * (end - begin)
            day += DAY

    def stretches(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Open time from ``start`` on, walking; LookupError at the end."""
        self.must_know(start)
        begin = minute_of(start)
        while (begin := self.strip.find(1, begin)) >= 0:
            end = self.strip.find(0, begin)
            yield max(start, BEGIN + begin * MINUTE), BEGIN + end * MINUTE
            begin = end
        raise LookupError

    def must_know(self, moment: datetime) -> None:
        if moment > BEGIN + self.end * MINUTE:
            raise LookupError

    def elapsed(self, start: datetime, end: datetime) -> timedelta:
        self.must_know(end)
        total = timedelta(0)
        try:
            for opens, closes in self.stretches(start):
                if opens >= end:
                    break
                total += min(closes, end) - opens
        except LookupError:
            pass
        return total

    def due(self, start: datetime, budget: timedelta) -> datetime:
        self.must_know(start)
        if not budget:
            return start
        for opens, closes in self.stretches(start):
            if budget <= closes - opens:
                return opens + budget
            budget -= closes - opens
        raise AssertionError

    def next_open(self, start: datetime) -> datetime:
        return next(self.stretches(start))[0]

    def is_open(self, day: date) -> bool:
        begin, end = self.clock.minute_of(day), self.clock.minute_of(day + DAY)
        return any(self.strip[begin:end])

    def working_day(self, after: date, count: int) -> date:
        day = after
        while count:
            day += DAY
            if day > self.last:
                raise LookupError
            count -= self.is_open(day)
        return day

    def due_days(self, start: datetime, count: int, rule: str) -> datetime:
        self.must_know(start)
        if rule == "end_of_day":
            day = self.working_day(self.clock.date_of(start), count)
            minute = self.clock.minute_of(day + DAY)
        else:
            start = self.next_open(start)
            day = self.working_day(self.clock.date_of(start), count)
            wall = self.clock.shown[minute_of(start)] % (24 * 60)
            minute = self.clock.minute_of(day, clock_time(wall))
            if self.strip[minute]:
                is_skipped = self.clock.shown[minute] % (24 * 60) != wall
                within = start - BEGIN - minute_of(start) * MINUTE
                return BEGIN + minute * MINUTE + (timedelta(0) if is_skipped else within)
        while not self.strip[minute - 1]:
            minute -= 1
        return BEGIN + minute * MINUTE

    def due_civil_days(self, start: datetime, count: int, roll: str) -> datetime:
        day = self.clock.date_of(start)
        for _ in range(count):
            day += DAY
        if roll == "holiday":
            while self.known(day) in self.dates and not self.dates[day]:
                day += DAY
        if roll == "closed":
            while not self.is_open(self.known(day)):
                day += DAY
        return BEGIN + self.clock.minute_of(day + DAY) * MINUTE

    def known(self, day: date) -> date:
        if day > self.last:
            raise LookupError
        return day


@dataclass
class Draw:
    """Random calendars and moments of one zone, crowded around its changes of the clock."""

    clock: Clock
    random: Random
    starts: list[datetime] = field(default_factory=list)

    def hours(self) -> Hours:
        """One to three windows, often over the small hours, sometimes overlapping."""
        windows: Hours = []
        for _ in range(self.random.choice([1, 1, 2, 2, 3])):
            grain = self.random.choice([1, 15, 30])
            span = self.random.choice([4 * 60, 24 * 60, 24 * 60])
            opens, closes = sorted(self.random.sample(range(0, span + 1, grain), 2))
            windows.append((clock_time(opens), clock_time(closes)))
        return windows

    def day(self) -> date:
        if self.random.random() < 0.2 and self.clock.changes:
            change = BEGIN + self.random.choice(self.clock.changes) * MINUTE
            return self.clock.date_of(change) + self.random.randint(-1, 1) * DAY
        return date(2026, 1, 5) + self.random.randrange(330) * DAY

    def calendar(self) -> tuple[Calendar, Oracle]:
        hours = self.hours() if self.random.random() < 0.9 else [("00:00", "24:00")]
        week = dict.fromkeys(self.random.sample(range(7), self.random.randint(2, 7)), hours)
        if self.random.random() < 0.3:
            week[self.random.randrange(7)] = self.hours()
        dates: dict[date, Hours] = {}
        for _ in range(self.random.randrange(12)):  # holidays of one to nine days
            first = self.day()
            dates |= {first + n * DAY: [] for n in range(self.random.choice([1, 3, 5, 9]))}
        for _ in range(self.random.randrange(12)):  # make-up days, half days, other hours
            dates[self.day()] = hours if self.random.random() < 0.5 else self.hours()
        until = LAST_DATE if self.random.random() < 0.8 else min(LAST_DATE, self.day() + 90 * DAY)
        return (
            Calendar(str(self.clock.zone), week, dates, until),
            Oracle(self.clock, week, dates, until),
        )

    def moment(self, oracle: Oracle) -> datetime:
        """Around a window's edge, a change of the clock, or anywhere; to the microsecond."""
        minute = self.clock.minute_of(self.day()) + self.random.randrange(24 * 60)
        if self.random.random() < 0.2 and self.clock.changes:
            minute = self.random.choice(self.clock.changes) + self.random.randint(-180, 180)
        if self.random.random() < 0.4:
            edge = oracle.strip.find(self.random.randrange(2), minute, minute + 4 * 24 * 60)
            minute = edge if edge >= 0 else minute
        seconds = self.random.choice([0, 0, -1, 1, -1e-6, 1e-6, self.random.uniform(-60, 60)])
        return BEGIN + minute * MINUTE + timedelta(seconds=seconds)

    def budget(self) -> timedelta:
        hours = self.random.choice([0, 0.5, 1, 4, 8, 24, 72, self.random.uniform(0, 120)])
        return timedelta(hours=hours) + timedelta(
            microseconds=self.random.choice([0, 0, 1, self.random.randrange(60_000_000)])
        )


def answer(call: Callable[..., object], *arguments: object) -> object:
    """The result, or "ended"."""
    try:
        return call(*arguments)
    except (CalendarEnded, LookupError):
        return "ended"


@pytest.mark.parametrize("zone", ZONES)
def test_it_equals_the_slow_computation(zone: str) -> None:
    """Eight questions a case; some run past the end of their calendar, most do not."""
    draw = Draw(Clock(zone), Random(f"worktime in {zone}"))
    ended = 0
    for case in range(CASES):
        if case % CASES_PER_CALENDAR == 0:
            calendar, oracle = draw.calendar()
        start = draw.moment(oracle)
        end = start + timedelta(hours=draw.random.choice([0, 1, 60, 500]) * draw.random.random())
        budget, count = draw.budget(), draw.random.randint(1, 12)
        calls: list[tuple[str, tuple[object, ...]]] = [
            ("elapsed", (start, end)),
            ("due", (start, budget)),
            ("next_open", (start,)),
            *(("due_days", (start, count, rule)) for rule in DAY_RULES),
            *(("due_civil_days", (start, count, roll)) for roll in ROLLS),
        ]
        for name, arguments in calls:
            expected = answer(getattr(oracle, name), *arguments)
            assert answer(getattr(calendar, name), *arguments) == expected, (name, arguments)
            ended += expected == "ended"
    assert CASES * 8 / 100 < ended < CASES * 8 / 4
