"""Working-time arithmetic: the open time between two moments, and the moment a budget ends.

Pure: plain values in, UTC moments out; no framework, no clock of its own.

A wall time means *the first instant at which the local clock shows it or a later time*. This one
sentence settles both changes of the clock: a time that spring skips is the instant of the jump, a
time that autumn shows twice is the first of the two; a window across the change is so much shorter
or longer. A window holds its opening instant and not its closing one; overlapping windows of a
date are one. A working day is a date with at least one window, half days and make-up days included.

How it works: the windows of whole years, as instants in ascending order, with the open time before
each summed up. ``elapsed`` is the difference of two look-ups, ``due`` the inverse look-up, both by
bisection. A table is never changed, only replaced by a longer one, and every call keeps the table
it began with; so threads share a calendar without a lock, at worst building a year twice.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate, chain, count
from zoneinfo import ZoneInfo

DAY_RULES = ("same_time", "end_of_day")  # see ``due_days``
ROLLS = ("none", "holiday", "closed")  # see ``due_civil_days``
Windows = Iterable[Sequence[str]]  # ("09:00", "12:00"), …; "24:00" may end the last one

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = date(2199, 12, 31)  # an open-ended calendar stops here, so that no budget makes it loop
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


class CalendarEnded(ValueError):
    """The answer lies past ``until``, the last date that the calendar knows."""

    def __init__(self, until: date) -> None:
        self.until = until
        super().__init__(f"The calendar ends with {until}.")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Open time without a break, from ``start`` up to ``end``."""

    start: datetime
    end: datetime

    @property
    def consumed(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class CountedDay:
    """One date between start and deadline; ``number`` is None where the date is not counted.

    Open and an exception: a make-up day or other hours. Closed and an exception: a holiday.
    """

    on: date
    number: int | None
    is_open: bool
    is_exception: bool


@dataclass(frozen=True, slots=True)
class _Table:
    """The windows of whole years, ascending; instants in microseconds since 1970."""

    years: range
    begins_at: int
    ends_at: int
    opens: list[int]
    closes: list[int]
    before: list[int]  # open time before each window; one entry more, the last is all of it
    days: list[date]  # the working days, and when each closes
    day_ends: list[int]

    def worked(self, at: int) -> int:
        """Open time from the table's beginning to ``at``."""
        window = bisect_right(self.opens, at) - 1
        if window < 0:
            return 0
        return self.before[window] + min(at, self.closes[window]) - self.opens[window]


class Calendar:
    """Service hours of one zone: a weekly pattern, and dates that differ from it.

    ``week`` maps weekdays (0 is Monday) to windows, a missing one is closed; ``dates`` maps a date
    to the windows that replace its weekday's, none for a holiday; ``until`` is the last date known.
    A window over midnight is given as two. Raises ValueError if none, unreadable or reversed.
    """

    def __init__(
        self,
        zone: str,
        week: Mapping[int, Windows],
        dates: Mapping[date, Windows],
        until: date | None = None,
    ) -> None:
        if not week.keys() <= set(range(7)):
            raise ValueError("Weekdays are 0 (Monday) to 6 (Sunday).")
        if any(isinstance(day, datetime) for day in dates):
            raise ValueError("Exceptions are kept by date, not by moment.")
        self.zone = ZoneInfo(zone)
        self.until = min(until or _LAST, _LAST)
        self._week = {weekday: _united(windows) for weekday, windows in week.items()}
        self._exceptions = {day: _united(windows) for day, windows in dates.items()}
        if not any(chain(self._week.values(), self._exceptions.values())):
            raise ValueError("A calendar needs at least one window.")
        self._years: dict[int, dict[date, list[tuple[int, int]]]] = {}
        self._table = _Table(range(0), 0, -1, [], [], [0], [], [])

    def elapsed(self, start: datetime, end: datetime) -> timedelta:
        """Open time between them. Raises ValueError if start > end, CalendarEnded past the end."""
        begin, finish = _in_order(start, end)
        table = self._covering(begin, finish)
        return timedelta(microseconds=table.worked(finish) - table.worked(begin))

    def due(self, start: datetime, budget: timedelta) -> datetime:
        """The earliest moment by which ``budget`` of open time has passed: 18:00, not next 09:00.

        Nothing passes in closed time, so a start there counts from the next opening; a budget of
        nothing is over at once. Raises ValueError if negative, CalendarEnded past the end.
        """
        at, need = _micros(start), budget // _MICROSECOND
        if need < 0:
            raise ValueError("A budget cannot be negative.")
        table = self._covering(at, at)
        while (target := table.worked(at) + need) > table.before[-1]:
            table = self._longer(table)
        if not need:
            return _moment(at)
        window = bisect_left(table.before, target) - 1
        return _moment(table.opens[window] + target - table.before[window])

    def due_days(self, start: datetime, days: int, rule: str) -> datetime:
        """The end of ``days`` working days, one at least.

        ``same_time``: a start in closed time moves to the next opening; then the same clock time
        on the n-th working day after it, or, if that is closed, the last open instant before.
        ``end_of_day``: the close of the n-th working day after the date of receipt, which is not
        counted, open or not. Raises ValueError for a wrong rule or number, CalendarEnded past the
        end. A later start never has an earlier deadline, but for ``same_time`` begun in the hour
        that autumn repeats.
        """
        begun, table, nth = self._nth_day(start, days, rule)
        if rule == "end_of_day":
            return _moment(table.day_ends[nth])
        at = self._instant(datetime.combine(table.days[nth], begun.time()))
        return _moment(min(at, table.closes[bisect_right(table.opens, at) - 1]))

    def due_civil_days(self, start: datetime, days: int, roll: str) -> datetime:
        """24:00 of the n-th calendar day, one at least; the event's own date is not counted.

        ``roll`` says when that last day moves on, as in article 203 of China's Civil Code:
        ``none``: never, so that the calendar may even have ended. ``holiday``: while ``dates``
        closes it; weekends count only where a row names them, as the State Council's list does
        inside a holiday. ``closed``: while it has no window, so past weekends too, but not past
        make-up days. The firm's own closing days move it like any other: a term that the law sets
        wants a calendar without them. Raises ValueError and CalendarEnded like ``due_days``.
        """
        return _moment(self._midnight_after(self._last_civil_day(start, days, roll)))

    def next_open(self, start: datetime) -> datetime:
        """``start`` if open then, else the next opening. Raises CalendarEnded if there is none."""
        return _moment(self._opening(_micros(start)))

    def windows(self, start: datetime, end: datetime) -> list[Stretch]:
        """The windows between the two, cut to them. Raises like ``elapsed``."""
        begin, finish = _in_order(start, end)
        table = self._covering(begin, finish)
        part = slice(bisect_right(table.closes, begin), bisect_left(table.opens, finish))
        whole = zip(table.opens[part], table.closes[part], strict=True)
        cut = ((max(begin, opens), min(finish, closes)) for opens, closes in whole)
        return [Stretch(_moment(begin), _moment(end)) for begin, end in cut if begin < end]

    def explain(self, start: datetime, budget: timedelta) -> list[Stretch]:
        """What ``due`` consumed, window by window; the parts add up to the budget."""
        return self.windows(start, self.due(start, budget))

    def explain_days(self, start: datetime, days: int, rule: str) -> list[CountedDay]:
        """Every date from receipt to the n-th working day of ``due_days``, with its number."""
        begun, table, nth = self._nth_day(start, days, rule)
        first, counted_after = self._local(_micros(start)).date(), begun.date()
        return self._listed(
            first, table.days[nth], lambda day: day > counted_after and self._is_open(day)
        )

    def explain_civil_days(self, start: datetime, days: int, roll: str) -> list[CountedDay]:
        """Every date from the event to the last day; those moved past or onto carry no number."""
        first = self._local(_micros(start)).date()
        last = self._last_civil_day(start, days, roll)
        return self._listed(first, last, lambda day: first < day <= first + days * _DAY)

    def _listed(self, first: date, last: date, counts: Callable[[date], bool]) -> list[CountedDay]:
        number = count(1)
        return [
            CountedDay(
                on=day,
                number=next(number) if counts(day) else None,
                is_open=self._is_open(day),
                is_exception=day in self._exceptions,
            )
            for day in _each_date(first, last)
        ]

    def _nth_day(self, start: datetime, days: int, rule: str) -> tuple[datetime, _Table, int]:
        """When counting begins in local time, and the place of the n-th working day in a table."""
        _check_days(days, rule, DAY_RULES)
        at = _micros(start)
        if rule == "same_time":
            at = self._opening(at)
        begun, table = self._local(at), self._covering(at, at)
        while (nth := bisect_right(table.days, begun.date()) + days - 1) >= len(table.days):
            table = self._longer(table)
        return begun, table, nth

    def _last_civil_day(self, start: datetime, days: int, roll: str) -> date:
        _check_days(days, roll, ROLLS)
        day = self._local(_micros(start)).date() + days * _DAY
        while roll != "none":
            if day > self.until:
                raise CalendarEnded(self.until)
            if self._exceptions.get(day) != [] if roll == "holiday" else self._is_open(day):
                return day
            day += _DAY
        return day

    def _opening(self, at: int) -> int:
        table = self._covering(at, at)
        while (window := bisect_right(table.closes, at)) == len(table.closes):
            table = self._longer(table)
        return max(at, table.opens[window])

    def _is_open(self, day: date) -> bool:
        return day in self._year(day.year)

    def _covering(self, first: int, last: int) -> _Table:
        """A table that knows both instants. Raises CalendarEnded past the last date."""
        table = self._table
        if table.begins_at <= first and last <= table.ends_at:
            return table
        if last > self._midnight_after(self.until):
            raise CalendarEnded(self.until)
        year = self._local(first).year
        if year < _EPOCH.year:
            raise ValueError(f"Calendars begin in {_EPOCH.year}.")
        return self._extended(year, self._local(last).year)

    def _longer(self, table: _Table) -> _Table:
        """A table of twice the years. Raises CalendarEnded if this one holds the last date."""
        if table.years[-1] >= self.until.year:
            raise CalendarEnded(self.until)
        return self._extended(table.years[0], table.years[-1] + len(table.years))

    def _extended(self, first: int, last: int) -> _Table:
        """A table of these years and those known already, kept for the next call."""
        known = self._table.years
        years = range(min([*known, first]), max([*known, last]) + 1)
        found = chain.from_iterable(self._year(year).items() for year in years)
        days = {day: spans for day, spans in found if day <= self.until}
        windows = list(chain.from_iterable(days.values()))
        self._table = table = _Table(
            years=years,
            begins_at=self._midnight_after(date(years[0], 1, 1) - _DAY),
            ends_at=self._midnight_after(min(date(years[-1], 12, 31), self.until)),
            opens=[opens for opens, _ in windows],
            closes=[closes for _, closes in windows],
            before=list(accumulate((closes - opens for opens, closes in windows), initial=0)),
            days=list(days),
            day_ends=[spans[-1][1] for spans in days.values()],
        )
        return table

    def _year(self, year: int) -> dict[date, list[tuple[int, int]]]:
        """The working days of a year with their windows; what spring swallows whole is left out."""
        if year not in self._years:
            dates = _each_date(date(year, 1, 1), date(year, 12, 31))
            self._years[year] = {day: spans for day in dates if (spans := self._spans(day))}
        return self._years[year]

    def _spans(self, day: date) -> list[tuple[int, int]]:
        midnight = datetime.combine(day, time.min)
        hours = self._exceptions.get(day, self._week.get(day.weekday(), []))
        spans = [(self._instant(midnight + a), self._instant(midnight + b)) for a, b in hours]
        return [(opens, closes) for opens, closes in spans if opens < closes]

    def _instant(self, wall: datetime) -> int:
        """The first instant at which the local clock shows ``wall`` or a later time."""
        first = _micros(wall.replace(tzinfo=self.zone, fold=0))
        second = _micros(wall.replace(tzinfo=self.zone, fold=1))
        if first <= second:
            return first
        # Spring skips this time. The two readings, with the offset of before and of after, lie
        # on either side of the jump, and in between the local clock never runs back.
        between = range(second, first)
        shown = bisect_left(between, wall, key=lambda at: self._local(at).replace(tzinfo=None))
        return second + shown

    def _midnight_after(self, day: date) -> int:
        return self._instant(datetime.combine(day + _DAY, time.min))

    def _local(self, at: int) -> datetime:
        return _moment(at).astimezone(self.zone)


def _united(windows: Windows) -> list[tuple[timedelta, timedelta]]:
    """Windows as distances from midnight, in order, overlapping and touching ones made one."""
    united: list[tuple[timedelta, timedelta]] = []
    for opens, closes in sorted((_clock(opens), _clock(closes)) for opens, closes in windows):
        if opens >= closes:
            raise ValueError("A window closes after it opens; split one over midnight at 24:00.")
        if united and opens <= united[-1][1]:
            united[-1] = (united[-1][0], max(closes, united[-1][1]))
        else:
            united.append((opens, closes))
    return united


def _clock(text: str) -> timedelta:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", text):
        raise ValueError(f"{text!r} is not a time from 00:00 to 24:00.")
    hours, minutes = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def _each_date(first: date, last: date) -> list[date]:
    return [first + offset * _DAY for offset in range((last - first).days + 1)]


def _check_days(days: int, rule: str, known: tuple[str, ...]) -> None:
    if days < 1:
        raise ValueError("Days are counted from one.")
    if rule not in known:
        raise ValueError(f"Unknown rule {rule!r}; known are {', '.join(known)}.")


def _in_order(start: datetime, end: datetime) -> tuple[int, int]:
    begin, finish = _micros(start), _micros(end)
    if begin > finish:
        raise ValueError("The start lies after the end.")
    return begin, finish


def _micros(moment: datetime) -> int:
    try:
        return (moment - _EPOCH) // _MICROSECOND
    except TypeError:
        raise ValueError("A moment needs a time zone.") from None


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
