"""Boundary instants of the calendar, by hand: one second before, at, and after each of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aftersales.common.worktime import (
    DAY_RULES,
    Calendar,
    CalendarEnded,
    CountedDay,
    Stretch,
    Windows,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
OFFICE = [("08:30", "12:00"), ("13:30", "17:30")]
ALL_DAY = [("00:00", "24:00")]
ROUND_THE_CLOCK = dict.fromkeys(range(7), ALL_DAY)


def days(month: int, first: int, last: int) -> list[date]:
    return [date(2026, month, day) for day in range(first, last + 1)]


# The State Council's list for 2026, of 2025-11-04.
OFF = [
    *days(1, 1, 3),
    *days(2, 15, 23),
    *days(4, 4, 6),
    *days(5, 1, 5),
    *days(6, 19, 21),
    *days(9, 25, 27),
    *days(10, 1, 7),
]
MADE_UP = [
    date(2026, month, day) for month, day in [(1, 4), (2, 14), (2, 28), (5, 9), (9, 20), (10, 10)]
]


def china(**changes: Any) -> Calendar:
    """A maker's service hours in 2026, with holidays and make-up days."""
    dates: dict[date, Windows] = {day: [] for day in OFF} | dict.fromkeys(MADE_UP, OFFICE)
    values: dict[str, Any] = {"week": dict.fromkeys(range(5), OFFICE), "dates": dates}
    return Calendar("Asia/Shanghai", **(values | {"until": date(2026, 12, 31)} | changes))


def plain(windows: Windows, zone: str = "Asia/Shanghai", **changes: Any) -> Calendar:
    """The same windows every day."""
    values: dict[str, Any] = {"week": dict.fromkeys(range(7), windows), "dates": {}}
    return Calendar(zone, **(values | changes))


def at(text: str, zone: ZoneInfo = SHANGHAI, fold: int = 0) -> datetime:
    """ "09-30 10:00" or "09-30 10:00:01", in 2026."""
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=zone, fold=fold)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("09-28 08:29:59", "09-28 08:30:00", 0),
        ("09-28 08:29:59", "09-28 08:30:01", 1),
        ("09-28 08:30:00", "09-28 08:30:01", 1),
        ("09-28 11:59:59", "09-28 12:00:00", 1),
        ("09-28 11:59:59", "09-28 12:00:01", 1),
        ("09-28 12:00:00", "09-28 13:30:00", 0),
        ("09-28 11:59:59", "09-28 13:30:01", 2),
        ("09-28 17:29:59", "09-29 08:30:01", 2),
        ("09-28 10:00:00", "09-28 10:00:00", 0),
        ("09-28 00:00:00", "09-29 00:00:00", 27_000),
        ("09-26 00:00:00", "09-28 00:00:00", 0),  # holiday on a weekend
        ("09-30 17:29:59", "10-08 08:30:00", 1),  # National Day
        ("10-10 00:00:00", "10-11 00:00:00", 27_000),  # a Saturday made up
        ("01-01 00:00:00", "01-01 00:00:01", 0),
    ],
)
def test_it_counts_open_seconds_only(start: str, end: str, expected: int) -> None:
    assert china().elapsed(at(start), at(end)) == timedelta(seconds=expected)


@pytest.mark.parametrize(
    ("start", "seconds", "expected"),
    [
        ("09-28 10:00:00", 3600, "09-28 11:00:00"),
        ("09-28 11:00:00", 3599, "09-28 11:59:59"),
        ("09-28 11:00:00", 3600, "09-28 12:00:00"),
        ("09-28 11:00:00", 3601, "09-28 13:30:01"),
        ("09-28 16:30:00", 3600, "09-28 17:30:00"),
        ("09-28 16:30:00", 3601, "09-29 08:30:01"),
        ("09-28 08:29:59", 1, "09-28 08:30:01"),
        ("09-28 12:30:00", 60, "09-28 13:31:00"),
        ("09-28 12:00:00", 1, "09-28 13:30:01"),
        ("09-30 17:30:00", 1, "10-08 08:30:01"),
        ("09-24 17:00:00", 1800, "09-24 17:30:00"),
        ("09-24 17:00:00", 1801, "09-28 08:30:01"),
        ("09-19 10:00:00", 1, "09-20 08:30:01"),  # a Sunday made up
        ("12-31 17:29:59", 1, "12-31 17:30:00"),
    ],
)
def test_it_ends_a_budget_at_the_earliest_instant(start: str, seconds: int, expected: str) -> None:
    assert china().due(at(start), timedelta(seconds=seconds)) == at(expected)


def test_it_ends_a_budget_of_nothing_at_once_even_in_closed_time() -> None:
    for start in ("09-28 10:00", "09-28 12:30", "09-28 17:30", "10-03 10:00"):
        assert china().due(at(start), timedelta(0)) == at(start)


def test_it_is_exact_to_the_microsecond() -> None:
    calendar, tick = china(), timedelta(microseconds=1)
    start = at("09-28 11:59:59.999998")

    assert calendar.due(start, tick * 2) == at("09-28 12:00:00")
    assert calendar.due(start, tick * 3) == at("09-28 13:30:00.000001")
    assert calendar.elapsed(start, at("09-28 13:30:00.000001")) == tick * 3
    assert calendar.due_days(start, 1, "same_time") == at("09-29 11:59:59.999998")


def test_it_answers_in_utc_whatever_zone_it_is_asked_in() -> None:
    due = china().due(at("09-28 10:00").astimezone(ZoneInfo("America/New_York")), HOUR)

    assert due == at("09-28 11:00")
    assert due.tzinfo is UTC


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("09-28 08:29:59", "09-28 08:30:00"),
        ("09-28 08:30:00", "09-28 08:30:00"),
        ("09-28 11:59:59", "09-28 11:59:59"),
        ("09-28 12:00:00", "09-28 13:30:00"),
        ("09-28 17:30:00", "09-29 08:30:00"),
        ("09-30 17:30:00", "10-08 08:30:00"),
        ("10-09 18:00:00", "10-10 08:30:00"),
    ],
)
def test_it_finds_the_next_opening(start: str, expected: str) -> None:
    assert china().next_open(at(start)) == at(expected)


@pytest.mark.parametrize("day", OFF)
def test_it_is_closed_on_every_holiday(day: date) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)
    assert china().elapsed(midnight, midnight + timedelta(days=1)) == timedelta(0)


@pytest.mark.parametrize("day", MADE_UP)
def test_it_is_open_on_every_make_up_day(day: date) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)
    assert day.weekday() > 4
    assert china().elapsed(midnight, midnight + timedelta(days=1)) == 7.5 * HOUR


def test_it_has_the_248_working_days_of_2026() -> None:
    worked = china().elapsed(at("01-01 00:00"), at("12-31 23:59"))

    assert worked == 248 * 7.5 * HOUR


# Working days


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        ("09-28 10:00:00", 1, "09-29 10:00:00"),
        ("09-28 10:00:00", 3, "10-08 10:00:00"),
        ("09-24 10:00:00", 1, "09-28 10:00:00"),
        ("10-08 10:00:00", 2, "10-10 10:00:00"),  # a Saturday made up
        ("09-28 08:29:59", 1, "09-29 08:30:00"),  # moves to the opening first
        ("09-28 08:30:00", 1, "09-29 08:30:00"),
        ("09-28 11:59:59", 1, "09-29 11:59:59"),
        ("09-28 12:00:00", 1, "09-29 13:30:00"),  # noon is closed
        ("09-28 17:29:59", 1, "09-29 17:29:59"),
        ("09-28 17:30:00", 1, "09-30 08:30:00"),  # next morning, and a day from there
        ("10-03 10:00:00", 1, "10-09 08:30:00"),
    ],
)
def test_it_keeps_the_clock_time_on_the_nth_working_day(
    start: str, count: int, expected: str
) -> None:
    assert china().due_days(at(start), count, "same_time") == at(expected)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("09-28 11:59:59", "09-29 11:59:59"),
        ("09-28 12:00:00", "09-29 12:00:00"),
        ("09-28 12:00:01", "09-29 12:00:00"),
        ("09-28 17:59:59", "09-29 12:00:00"),
    ],
)
def test_it_takes_the_last_open_instant_before_a_clock_time_that_is_closed(
    start: str, expected: str
) -> None:
    half_day = plain([("09:00", "18:00")], dates={date(2026, 9, 29): [("09:00", "12:00")]})

    assert half_day.due_days(at(start), 1, "same_time") == at(expected)


def test_it_goes_back_to_the_day_before_if_the_nth_day_opens_later() -> None:
    late = plain([("09:00", "18:00")], dates={date(2026, 9, 29): [("14:00", "18:00")]})

    assert late.due_days(at("09-28 13:59:59"), 1, "same_time") == at("09-28 18:00")
    assert late.due_days(at("09-28 14:00:00"), 1, "same_time") == at("09-29 14:00")


@pytest.mark.parametrize(
    ("start", "count", "expected"),
    [
        ("09-28 00:00:00", 1, "09-29 17:30:00"),
        ("09-28 08:29:59", 1, "09-29 17:30:00"),
        ("09-28 17:29:59", 1, "09-29 17:30:00"),
        ("09-28 17:30:00", 1, "09-29 17:30:00"),
        ("09-28 23:59:59", 1, "09-29 17:30:00"),
        ("09-29 00:00:00", 1, "09-30 17:30:00"),
        ("09-30 10:00:00", 3, "10-10 17:30:00"),  # the manual's refund over National Day
        ("10-03 10:00:00", 1, "10-08 17:30:00"),  # received on a holiday: the first day is day 1
        ("09-24 10:00:00", 5, "10-09 17:30:00"),
        ("02-13 10:00:00", 1, "02-14 17:30:00"),
        ("02-13 10:00:00", 2, "02-24 17:30:00"),
    ],
)
def test_it_ends_at_the_close_of_the_nth_working_day_after_the_date_of_receipt(
    start: str, count: int, expected: str
) -> None:
    assert china().due_days(at(start), count, "end_of_day") == at(expected)


def test_it_counts_a_half_day_as_a_working_day() -> None:
    half_day = plain(OFFICE, dates={date(2026, 9, 29): [("08:30", "11:00")]})

    assert half_day.due_days(at("09-28 10:00"), 1, "end_of_day") == at("09-29 11:00")
    assert half_day.due_days(at("09-28 10:00"), 2, "end_of_day") == at("09-30 17:30")


# Civil days


@pytest.mark.parametrize(
    ("start", "count", "roll", "last_day"),
    [
        ("09-24 00:00:00", 1, "none", "09-25"),
        ("09-24 23:59:59", 1, "none", "09-25"),
        ("09-25 00:00:00", 1, "none", "09-26"),
        ("09-24 10:00:00", 7, "none", "10-01"),
        ("09-24 10:00:00", 7, "holiday", "10-08"),  # signed 09-24, day 7 is National Day
        ("09-24 10:00:00", 7, "closed", "10-08"),
        ("09-23 23:59:59", 7, "holiday", "09-30"),
        ("09-30 10:00:00", 7, "holiday", "10-08"),
        ("10-01 00:00:00", 7, "holiday", "10-08"),
        ("09-05 10:00:00", 7, "holiday", "09-12"),  # an ordinary Saturday is no holiday …
        ("09-05 10:00:00", 7, "closed", "09-14"),  # … but closed
        ("09-13 10:00:00", 7, "closed", "09-20"),  # a Sunday made up
        ("06-12 10:00:00", 7, "holiday", "06-22"),
        ("02-08 10:00:00", 7, "holiday", "02-24"),
    ],
)
def test_it_ends_civil_days_at_midnight_after_the_last_day(
    start: str, count: int, roll: str, last_day: str
) -> None:
    expected = at(f"{last_day} 00:00") + timedelta(days=1)
    assert china().due_civil_days(at(start), count, roll) == expected


def test_it_moves_a_last_day_past_a_half_day_under_no_rule() -> None:
    half_day = plain(OFFICE, dates={date(2026, 9, 29): [("08:30", "11:00")]})

    for roll in ("none", "holiday", "closed"):
        assert half_day.due_civil_days(at("09-28 10:00"), 1, roll) == at("09-30 00:00")


# Reading the hours


def test_it_unites_overlapping_touching_and_unsorted_windows() -> None:
    windows = [("13:00", "15:00"), ("09:00", "12:00"), ("11:00", "13:00"), ("09:30", "10:00")]

    assert plain(windows).explain(at("09-28 08:00"), 7 * HOUR) == [
        Stretch(at("09-28 09:00"), at("09-28 15:00")),
        Stretch(at("09-29 09:00"), at("09-29 10:00")),
    ]


def test_it_is_open_from_midnight_to_midnight() -> None:
    calendar = plain(ALL_DAY)

    assert calendar.due(at("09-28 23:59:59"), 2 * SECOND) == at("09-29 00:00:01")
    assert calendar.due(at("09-28 00:00:00"), 24 * HOUR) == at("09-29 00:00:00")
    assert calendar.elapsed(at("01-01 00:00"), at("12-31 00:00")) == timedelta(days=364)
    assert calendar.due_days(at("09-28 10:00"), 1, "end_of_day") == at("09-30 00:00:00")


@pytest.mark.parametrize(
    "window",
    [
        ("12:00", "12:00"),
        ("18:00", "09:00"),
        ("24:00", "24:00"),
        ("09:00", "24:01"),
        ("09:00", "25:00"),
        ("09:60", "12:00"),
        ("9:00", "12:00"),
        ("09:00:00", "12:00"),
        ("", "12:00"),
        ("09:00", "１２:00"),
    ],
)
def test_it_refuses_a_window_that_cannot_be(window: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"window closes after|is not a time"):
        plain([window])
    with pytest.raises(ValueError, match=r"window closes after|is not a time"):
        plain(OFFICE, dates={date(2026, 9, 28): [window]})


@pytest.mark.parametrize("weekday", [-1, 7, "0"])
def test_it_refuses_a_weekday_that_cannot_be(weekday: Any) -> None:
    with pytest.raises(ValueError, match="Weekdays"):
        Calendar("Asia/Shanghai", {weekday: OFFICE}, {})


def test_it_refuses_an_exception_dated_by_a_moment() -> None:
    with pytest.raises(ValueError, match="by date"):
        plain(OFFICE, dates={datetime(2026, 10, 1, tzinfo=UTC): []})


@pytest.mark.parametrize("dates", [{}, {date(2026, 10, 1): []}])
def test_it_refuses_a_calendar_without_any_window(dates: dict[date, Windows]) -> None:
    weeks: list[dict[int, Windows]] = [{}, {weekday: [] for weekday in range(7)}]
    for week in weeks:
        with pytest.raises(ValueError, match="at least one window"):
            Calendar("Asia/Shanghai", week, dates)


def test_it_refuses_a_moment_without_a_zone() -> None:
    naive, aware, calendar = datetime(2026, 9, 28, 10), at("09-28 10:00"), china()  # noqa: DTZ001

    for call in (
        lambda: calendar.elapsed(naive, aware),
        lambda: calendar.elapsed(aware, naive),
        lambda: calendar.due(naive, HOUR),
        lambda: calendar.due_days(naive, 1, "same_time"),
        lambda: calendar.due_civil_days(naive, 1, "none"),
        lambda: calendar.next_open(naive),
        lambda: calendar.windows(aware, naive),
        lambda: calendar.explain(naive, HOUR),
        lambda: calendar.explain_days(naive, 1, "end_of_day"),
        lambda: calendar.explain_civil_days(naive, 1, "none"),
    ):
        with pytest.raises(ValueError, match="needs a time zone"):
            call()


def test_it_refuses_a_start_after_the_end() -> None:
    start = at("10-03 10:00:01")  # closed, so nothing would be negative

    for call in (china().elapsed, china().windows):
        with pytest.raises(ValueError, match="after the end"):
            call(start, start - SECOND)


def test_it_refuses_a_negative_budget() -> None:
    with pytest.raises(ValueError, match="negative"):
        china().due(at("09-28 10:00"), timedelta(microseconds=-1))


@pytest.mark.parametrize("count", [0, -1])
def test_it_counts_days_from_one(count: int) -> None:
    with pytest.raises(ValueError, match="from one"):
        china().due_days(at("09-28 10:00"), count, "end_of_day")
    with pytest.raises(ValueError, match="from one"):
        china().due_civil_days(at("09-28 10:00"), count, "none")


def test_it_refuses_rules_that_it_does_not_know() -> None:
    other = "holidays"
    with pytest.raises(ValueError, match="Unknown rule 'holidays'"):
        china().due_days(at("09-28 10:00"), 1, other)
    with pytest.raises(ValueError, match="Unknown rule 'holidays'"):
        china().due_civil_days(at("09-28 10:00"), 1, other)


# The end of a calendar


def test_it_answers_up_to_midnight_of_its_last_date_and_no_further() -> None:
    calendar = plain([("09:00", "18:00")], until=date(2026, 9, 28))
    close, midnight = at("09-28 18:00"), at("09-29 00:00")

    assert calendar.due(at("09-28 17:00"), HOUR) == close
    assert calendar.due(midnight, timedelta(0)) == midnight
    assert calendar.elapsed(close, midnight) == timedelta(0)
    assert calendar.next_open(close - SECOND) == close - SECOND
    assert calendar.due_days(at("09-27 18:30"), 1, "end_of_day") == close
    assert calendar.due_civil_days(at("09-27 18:30"), 1, "closed") == midnight
    for call in (
        lambda: calendar.due(at("09-28 17:00"), HOUR + SECOND),
        lambda: calendar.due(midnight + SECOND, timedelta(0)),
        lambda: calendar.elapsed(close, midnight + SECOND),
        lambda: calendar.windows(close, midnight + SECOND),
        lambda: calendar.next_open(close),
        lambda: calendar.due_days(at("09-28 10:00"), 1, "end_of_day"),
        lambda: calendar.due_days(at("09-27 18:00"), 1, "same_time"),
        lambda: calendar.due_civil_days(at("09-28 10:00"), 1, "holiday"),
        lambda: calendar.due_civil_days(at("09-28 10:00"), 1, "closed"),
    ):
        with pytest.raises(CalendarEnded) as raised:
            call()
        assert raised.value.until == date(2026, 9, 28)


def test_it_ends_when_a_last_day_would_move_past_the_last_date() -> None:
    calendar = china(until=date(2026, 10, 7))

    with pytest.raises(CalendarEnded):
        calendar.due_civil_days(at("09-24 10:00"), 7, "holiday")


def test_it_counts_civil_days_that_never_move_past_its_end() -> None:
    calendar = china(until=date(2026, 9, 25))

    assert calendar.due_civil_days(at("09-24 10:00"), 7, "none") == at("10-02 00:00")
    assert len(calendar.explain_civil_days(at("09-24 10:00"), 7, "none")) == 8


def test_it_ends_rather_than_looks_for_ever() -> None:
    only_once = Calendar("Asia/Shanghai", {}, {date(2026, 9, 28): OFFICE})

    assert only_once.due(at("09-01 00:00"), 7.5 * HOUR) == at("09-28 17:30")
    calls: list[Callable[[], object]] = [
        lambda: only_once.due(at("09-01 00:00"), 7.5 * HOUR + SECOND),
        lambda: only_once.next_open(at("09-28 17:30")),
        lambda: only_once.due_days(at("09-28 10:00"), 1, "end_of_day"),
        lambda: only_once.due_civil_days(at("09-28 10:00"), 1, "closed"),
    ]
    for call in calls:
        with pytest.raises(CalendarEnded) as raised:
            call()
        assert raised.value.until == date(2199, 12, 31)


def test_it_refuses_moments_before_its_first_year() -> None:
    with pytest.raises(ValueError, match="begin in 1970"):
        china().elapsed(datetime(1969, 12, 31, tzinfo=SHANGHAI), at("09-28 10:00"))


@pytest.mark.parametrize("first_asked", [1998, 2026, 2040])
def test_it_gives_the_same_answer_whatever_years_it_met_before(first_asked: int) -> None:
    calendar = china(until=None)
    calendar.next_open(datetime(first_asked, 6, 1, tzinfo=UTC))

    assert calendar.due(at("09-30 17:00"), HOUR) == at("10-08 09:00")
    assert calendar.due(at("12-31 17:00"), HOUR) == datetime(2027, 1, 1, 9, tzinfo=SHANGHAI)
    later = calendar.due(at("01-05 08:30"), 7.5 * 2000 * HOUR)
    assert calendar.elapsed(at("01-05 08:30"), later) == 7.5 * 2000 * HOUR
    assert later.year == 2033


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (lambda calendar, start: calendar.due(start, HOUR), 9),
        (lambda calendar, start: calendar.next_open(start + HOUR), 8.5),
        (lambda calendar, start: calendar.due_days(start, 1, "end_of_day"), 17.5),
    ],
)
def test_it_keeps_its_place_when_another_thread_lays_out_earlier_years(
    question: Callable[[Calendar, datetime], datetime],
    expected: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calendar = china(until=None)
    longer = calendar._longer

    def overtaken(table: Any) -> Any:
        calendar.windows(datetime(1999, 6, 1, tzinfo=UTC), datetime(1999, 6, 2, tzinfo=UTC))
        return longer(table)

    monkeypatch.setattr(calendar, "_longer", overtaken)
    answer = question(calendar, at("12-31 17:00"))

    assert answer == datetime(2027, 1, 1, tzinfo=SHANGHAI) + expected * HOUR


def test_it_keeps_the_years_that_it_laid_out() -> None:
    calendar = china(until=None)
    moments = [datetime(year, 3, 2, tzinfo=UTC) for year in (2026, 2024, 2028)]
    for moment in moments:
        calendar.due(moment, HOUR)
    table = calendar._table

    calendar.elapsed(min(moments), max(moments))
    assert calendar._table is table


def test_it_may_be_shared_by_threads() -> None:
    def due(calendar: Calendar, year: int) -> datetime:
        return calendar.due(datetime(year, 3, 2, 18, tzinfo=SHANGHAI), 300 * HOUR)

    years = [*range(2000, 2050, 7), *range(2049, 1999, -7)]
    expected = [due(china(until=None), year) for year in years]
    shared = china(until=None)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda year: due(shared, year), years)) == expected


# The two changes of the clock. Berlin 2026: 03-29 02:00 to 03:00, 10-25 03:00 back to 02:00.


@pytest.mark.parametrize(
    ("windows", "day", "expected"),
    [
        ([("00:00", "24:00")], "03-29", 23),
        ([("00:00", "24:00")], "10-25", 25),
        ([("01:00", "04:00")], "03-29", 2),
        ([("01:00", "04:00")], "10-25", 4),
        ([("01:00", "02:30")], "03-29", 1),  # closes at the jump
        ([("02:30", "04:00")], "03-29", 1),  # opens at the jump
        ([("02:00", "03:00")], "03-29", 0),
        ([("02:15", "02:45")], "03-29", 0),
        ([("01:00", "02:10"), ("02:50", "04:00")], "03-29", 2),
        ([("02:00", "03:00")], "10-25", 2),
        ([("01:00", "02:30")], "10-25", 1.5),  # closes when the clock first shows it
        ([("02:30", "04:00")], "10-25", 2.5),  # opens when the clock first shows it
        ([("02:15", "02:45")], "10-25", 0.5),
        ([("01:00", "02:30"), ("02:30", "04:00")], "10-25", 4),
    ],
)
def test_it_measures_windows_over_a_change_of_the_clock(
    windows: Windows, day: str, expected: float
) -> None:
    midnight = at(f"{day} 00:00", BERLIN)
    worked = plain(windows, "Europe/Berlin").elapsed(midnight, midnight + timedelta(days=1))

    assert worked == expected * HOUR


def test_it_runs_by_real_hours_over_a_change_of_the_clock() -> None:
    calendar = plain(ALL_DAY, "Europe/Berlin")

    for start in (at("03-28 12:00", BERLIN), at("10-24 12:00", BERLIN)):
        due = calendar.due(start, 24 * HOUR)
        assert due.timestamp() - start.timestamp() == 24 * 3600


def test_it_tells_the_two_passes_of_an_autumn_hour_apart() -> None:
    calendar = plain(ALL_DAY, "Europe/Berlin")
    first, second = at("10-25 02:30", BERLIN), at("10-25 02:30", BERLIN, fold=1)

    assert calendar.elapsed(first, second) == HOUR
    assert calendar.due(first, HOUR) == second.astimezone(UTC)
    with pytest.raises(ValueError, match="after the end"):
        calendar.elapsed(second, first)


def test_it_reads_a_skipped_clock_time_as_the_jump() -> None:
    calendar = plain(ALL_DAY, "Europe/Berlin")
    jump = datetime(2026, 3, 29, 1, tzinfo=UTC)

    assert calendar.due_days(at("03-28 02:00", BERLIN), 1, "same_time") == jump
    assert calendar.due_days(at("03-28 02:30:00.5", BERLIN), 1, "same_time") == jump
    assert calendar.due_days(at("03-28 02:59:59", BERLIN), 1, "same_time") == jump
    assert calendar.due_days(at("03-28 03:00:01", BERLIN), 1, "same_time") == jump + SECOND


def test_it_reads_a_repeated_clock_time_as_the_first() -> None:
    calendar = plain(ALL_DAY, "Europe/Berlin")
    expected = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    assert calendar.due_days(at("10-24 02:30", BERLIN), 1, "same_time") == expected
    second_pass = at("10-25 02:30", BERLIN, fold=1)
    assert calendar.due_days(second_pass, 1, "same_time") == at("10-26 02:30", BERLIN)
    next_autumn = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert calendar.due_days(second_pass, 371, "same_time") == next_autumn


def test_it_does_not_count_a_day_whose_only_window_spring_swallows() -> None:
    night = plain([("02:00", "03:00")], "Europe/Berlin")

    assert night.due_days(at("03-28 02:30", BERLIN), 1, "end_of_day") == at("03-30 03:00", BERLIN)
    assert night.next_open(at("03-28 03:00", BERLIN)) == at("03-30 02:00", BERLIN)


def test_it_takes_no_day_for_a_holiday_because_spring_swallows_its_window() -> None:
    change = date(2026, 3, 29)
    night = plain(OFFICE, "Europe/Berlin", dates={change: [("02:00", "03:00")]})

    event = at("03-28 10:00", BERLIN)
    assert night.due_civil_days(event, 1, "holiday") == at("03-30 00:00", BERLIN)
    assert night.due_civil_days(event, 1, "closed") == at("03-31 00:00", BERLIN)


def test_it_ends_a_civil_day_at_the_jump_where_midnight_is_skipped() -> None:
    cairo = ZoneInfo("Africa/Cairo")  # 2026-04-24 00:00 to 01:00
    calendar = plain(ALL_DAY, "Africa/Cairo")
    jump = datetime(2026, 4, 23, 22, tzinfo=UTC)

    assert calendar.due_civil_days(at("04-22 10:00", cairo), 1, "none") == jump
    assert calendar.next_open(jump) == jump


# Why this deadline


def test_it_explains_a_budget_window_by_window() -> None:
    stretches = china().explain(at("09-30 16:00"), 3 * HOUR)

    assert stretches == [
        Stretch(at("09-30 16:00"), at("09-30 17:30")),
        Stretch(at("10-08 08:30"), at("10-08 10:00")),
    ]
    assert [stretch.consumed for stretch in stretches] == [1.5 * HOUR, 1.5 * HOUR]
    assert stretches[0].start.tzinfo is UTC
    assert china().explain(at("09-30 16:00"), timedelta(0)) == []


def test_it_lists_windows_cut_to_the_two_moments() -> None:
    assert china().windows(at("09-30 12:00"), at("10-08 08:30")) == [
        Stretch(at("09-30 13:30"), at("09-30 17:30"))
    ]
    assert china().windows(at("10-01 00:00"), at("10-08 08:30")) == []
    assert china().windows(at("09-30 09:00"), at("09-30 09:00")) == []


@pytest.mark.parametrize("rule", DAY_RULES)
def test_it_explains_working_days_date_by_date(rule: str) -> None:
    rows = china().explain_days(at("09-30 10:00"), 3, rule)

    holidays = [CountedDay(day, None, is_open=False, is_exception=True) for day in days(10, 1, 7)]
    assert rows == [
        CountedDay(date(2026, 9, 30), None, is_open=True, is_exception=False),
        *holidays,
        CountedDay(date(2026, 10, 8), 1, is_open=True, is_exception=False),
        CountedDay(date(2026, 10, 9), 2, is_open=True, is_exception=False),
        CountedDay(date(2026, 10, 10), 3, is_open=True, is_exception=True),
    ]


def test_it_explains_that_a_start_in_closed_time_moved() -> None:
    saturday = at("09-12 10:00")

    same_time = china().explain_days(saturday, 1, "same_time")
    assert [(row.on.day, row.number) for row in same_time] == [
        (12, None),
        (13, None),
        (14, None),
        (15, 1),
    ]
    end_of_day = china().explain_days(saturday, 1, "end_of_day")
    assert [(row.on.day, row.number) for row in end_of_day] == [(12, None), (13, None), (14, 1)]


def test_it_explains_where_a_last_day_moved_to() -> None:
    rows = china().explain_civil_days(at("09-29 10:00"), 2, "holiday")

    assert [row.number for row in rows] == [None, 1, 2, *[None] * 7]
    assert [row.on for row in rows[1:]] == [date(2026, 9, 30), *days(10, 1, 8)]
    assert [row.is_open for row in rows] == [True, True, *[False] * 7, True]
