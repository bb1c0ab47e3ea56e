"""What holds for every calendar: due is the inverse of elapsed, monotone and additive."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aftersales.common.worktime import DAY_RULES, ROLLS, Calendar

TICK = timedelta(microseconds=1)
ZONES = ["Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"]


def _window(minutes: list[int]) -> tuple[str, str]:
    opens, closes = (f"{at // 60:02}:{at % 60:02}" for at in sorted(minutes))
    return opens, closes


windows = st.lists(
    st.lists(st.integers(0, 24 * 60), min_size=2, max_size=2, unique=True).map(_window), max_size=3
)
calendars = st.builds(
    Calendar,
    zone=st.sampled_from(ZONES),
    week=st.dictionaries(st.integers(0, 6), windows).map(
        lambda week: week | {2: [("09:00", "18:00")]}  # closed for ever is refused
    ),
    dates=st.dictionaries(st.dates(date(2026, 1, 1), date(2026, 12, 31)), windows, max_size=20),
)
moments = st.datetimes(datetime(2025, 12, 1), datetime(2027, 1, 31), timezones=st.just(UTC))  # noqa: DTZ001
budgets = st.timedeltas(timedelta(0), timedelta(days=20))
counts = st.integers(1, 30)
day_rules = st.sampled_from(DAY_RULES)
rolls = st.sampled_from(ROLLS)
quietly = settings(deadline=None)  # the first question to a calendar lays out its years


@quietly
@given(calendars, moments, budgets)
def test_due_is_the_inverse_of_elapsed(
    calendar: Calendar, start: datetime, budget: timedelta
) -> None:
    assert calendar.elapsed(start, calendar.due(start, budget)) == budget


@quietly
@given(calendars, moments, budgets)
def test_due_is_the_earliest_such_instant(
    calendar: Calendar, start: datetime, budget: timedelta
) -> None:
    due = calendar.due(start, budget)

    assert due == start or calendar.elapsed(start, due - TICK) < budget


@quietly
@given(calendars, moments, budgets, budgets)
def test_budgets_add_up(
    calendar: Calendar, start: datetime, one: timedelta, other: timedelta
) -> None:
    assert calendar.due(calendar.due(start, one), other) == calendar.due(start, one + other)


@quietly
@given(calendars, st.tuples(moments, moments, moments))
def test_elapsed_time_adds_up(calendar: Calendar, three: tuple[datetime, ...]) -> None:
    start, middle, end = sorted(three)
    parts = calendar.elapsed(start, middle) + calendar.elapsed(middle, end)

    assert calendar.elapsed(start, end) == parts
    assert sum((part.consumed for part in calendar.windows(start, end)), timedelta(0)) == parts


@quietly
@given(calendars, st.tuples(moments, moments), st.tuples(budgets, budgets))
def test_neither_a_later_start_nor_a_larger_budget_is_due_earlier(
    calendar: Calendar, starts: tuple[datetime, ...], two: tuple[timedelta, ...]
) -> None:
    earlier, later = sorted(starts)
    small, large = sorted(two)

    assert calendar.due(earlier, small) <= calendar.due(later, large)


@quietly
@given(calendars, moments, st.timedeltas(timedelta(0), timedelta(days=9)), counts, day_rules)
def test_neither_a_later_start_nor_more_days_are_due_earlier(
    calendar: Calendar, start: datetime, delay: timedelta, count: int, rule: str
) -> None:
    later = start + delay
    # The same clock time cannot tell which pass of a repeated hour the case began in.
    assume(not any(moment.astimezone(calendar.zone).fold for moment in (start, later)))
    due = calendar.due_days(start, count, rule)

    assert start < due <= calendar.due_days(later, count, rule)
    assert due < calendar.due_days(start, count + 1, rule) or rule == "same_time"


@quietly
@given(calendars, moments, st.timedeltas(timedelta(0), timedelta(days=9)), counts, rolls)
def test_neither_a_later_event_nor_more_civil_days_end_earlier(
    calendar: Calendar, start: datetime, delay: timedelta, count: int, roll: str
) -> None:
    due = calendar.due_civil_days(start, count, roll)

    assert start < due <= calendar.due_civil_days(start + delay, count, roll)
    assert due <= calendar.due_civil_days(start, count + 1, roll)
    assert calendar.due_civil_days(start, count, "none") <= due


@quietly
@given(calendars, moments, budgets)
def test_an_explanation_adds_up_and_ends_when_due(
    calendar: Calendar, start: datetime, budget: timedelta
) -> None:
    parts = calendar.explain(start, budget)

    assert sum((part.consumed for part in parts), timedelta(0)) == budget
    assert all(calendar.next_open(part.start) == part.start for part in parts)
    assert not parts or parts[-1].end == calendar.due(start, budget)


@quietly
@given(calendars, moments, counts, day_rules)
def test_an_explanation_of_days_numbers_the_working_days(
    calendar: Calendar, start: datetime, count: int, rule: str
) -> None:
    rows = calendar.explain_days(start, count, rule)
    due = calendar.due_days(start, count, rule)

    assert [row.number for row in rows if row.number] == list(range(1, count + 1))
    assert all(row.is_open for row in rows if row.number)
    assert rows[0].on == start.astimezone(calendar.zone).date()
    assert rows[-1].number == count
    assert (due - TICK).astimezone(calendar.zone).date() <= rows[-1].on


@quietly
@given(calendars, moments, counts, rolls)
def test_an_explanation_of_civil_days_ends_with_the_last_day(
    calendar: Calendar, start: datetime, count: int, roll: str
) -> None:
    rows = calendar.explain_civil_days(start, count, roll)
    due = calendar.due_civil_days(start, count, roll)

    assert [row.number for row in rows[1 : count + 1]] == list(range(1, count + 1))
    assert not any(row.number for row in [rows[0], *rows[count + 1 :]])
    assert rows[-1].on == (due - TICK).astimezone(calendar.zone).date()
