"""The pure rules, at their boundaries."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from aftersales.common import worktime
from tickets import sla
from tickets.sla import Basis, Budget, Party, Phase, Span, Stage, State

ZONE = ZoneInfo("Asia/Shanghai")
HOURS = [("08:30", "12:00"), ("13:30", "17:30")]
CALENDAR = worktime.Calendar(
    "Asia/Shanghai",
    dict.fromkeys(range(5), HOURS),
    {date(2026, 10, day): [] for day in range(1, 8)} | {date(2026, 10, 10): HOURS},
    until=date(2027, 12, 31),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def minutes(number: int) -> Budget:
    return Budget(Basis.ELAPSED, number * 60)


def working(number: int) -> Budget:
    return Budget(Basis.WORKING, number * 60)


# --- deadlines --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "start", "due"),
    [
        (minutes(30), "2026-11-20 17:20", "2026-11-20 17:50"),
        (working(10), "2026-11-20 17:20", "2026-11-20 17:30"),
        (working(11), "2026-11-20 17:20", "2026-11-23 08:31"),
        (working(240), "2026-11-20 11:00", "2026-11-20 16:30"),
        (Budget(Basis.WORKING_DAYS, 5, "end_of_day"), "2026-09-28 10:00", "2026-10-10 17:30"),
        (Budget(Basis.WORKING_DAYS, 1, "end_of_day"), "2026-11-21 10:00", "2026-11-23 17:30"),
        (Budget(Basis.CIVIL_DAYS, 7, "none"), "2026-09-30 15:00", "2026-10-08 00:00"),
    ],
)
def test_the_deadline_follows_its_basis(budget: Budget, start: str, due: str) -> None:
    assert sla.deadline(CALENDAR, [budget], at(start)) == at(due)


def test_the_earliest_of_two_budgets_decides() -> None:
    """Manual E's refund in 3 working days, and by law never later than 7 days (goods on 09-30)."""
    refund = [
        Budget(Basis.WORKING_DAYS, 3, "end_of_day"),
        Budget(Basis.CIVIL_DAYS, 7, "none"),
    ]
    assert sla.deadline(CALENDAR, refund[:1], at("2026-09-30 10:00")) == at("2026-10-10 17:30")
    assert sla.deadline(CALENDAR, refund, at("2026-09-30 10:00")) == at("2026-10-08 00:00")


# --- pauses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "pauses", "due"),
    [
        (minutes(60), [("10:10", "10:40")], "10:00+90"),
        (minutes(60), [("10:10", "10:40"), ("10:20", "10:50")], "10:00+100"),
        (minutes(60), [("09:00", "10:05")], "10:00+65"),
        (minutes(60), [("11:00", "11:30")], "10:00+60"),
        (minutes(60), [("10:59", "11:30")], "10:00+91"),
        (working(120), [("11:30", "14:00")], "10:00+270"),
    ],
)
def test_pauses_move_the_deadline_by_what_they_cover(
    budget: Budget, pauses: list[tuple[str, str]], due: str
) -> None:
    start = at("2026-11-20 10:00")
    spans = [Span(at(f"2026-11-20 {a}"), at(f"2026-11-20 {b}")) for a, b in pauses]
    expected = start + timedelta(minutes=int(due.split("+")[1]))
    assert sla.deadline(CALENDAR, [budget], start, spans) == expected


def test_a_pause_over_closed_time_costs_nothing_in_working_time() -> None:
    spans = [Span(at("2026-11-20 17:30"), at("2026-11-23 08:30"))]
    assert sla.deadline(CALENDAR, [working(60)], at("2026-11-20 17:00"), spans) == at(
        "2026-11-23 09:00"
    )


def test_a_pause_moves_working_days_by_its_working_time() -> None:
    five_days = Budget(Basis.WORKING_DAYS, 5, "end_of_day")
    spans = [Span(at("2026-11-17 08:30"), at("2026-11-17 10:30"))]
    assert sla.deadline(CALENDAR, [five_days], at("2026-11-16 09:00"), spans) == at(
        "2026-11-24 10:30"
    )


# --- stages -----------------------------------------------------------------------------------


def test_stages_come_in_order_of_time_with_the_breach_among_them() -> None:
    stages = [Stage("80%"), Stage("-15m"), Stage("+50%"), Stage("+15m")]
    plan = sla.plan(CALENDAR, [minutes(60)], at("2026-11-20 10:00"), stages)
    assert [(moment.astimezone(ZONE).strftime("%H:%M"), key) for moment, key in plan.stages] == [
        ("10:45", "-15m"),
        ("10:48", "80%"),
        ("11:00", "0"),
        ("11:15", "+15m"),
        ("11:30", "+50%"),
    ]
    assert plan.risk_at == at("2026-11-20 10:45")


def test_shares_are_counted_in_the_basis_of_the_clock() -> None:
    plan = sla.plan(CALENDAR, [working(240)], at("2026-11-20 16:30"), [Stage("50%")])
    assert plan.stages[0] == (at("2026-11-23 09:30"), "50%")


def test_shares_leave_out_the_pauses() -> None:
    spans = [Span(at("2026-11-20 10:10"), at("2026-11-20 10:40"))]
    plan = sla.plan(CALENDAR, [minutes(60)], at("2026-11-20 10:00"), [Stage("50%")], spans)
    assert plan.stages[0] == (at("2026-11-20 11:00"), "50%")


def test_shares_of_days_are_shares_of_their_open_time() -> None:
    two_days = Budget(Basis.WORKING_DAYS, 2, "end_of_day")
    plan = sla.plan(CALENDAR, [two_days], at("2026-11-19 17:30"), [Stage("50%")])
    assert plan.due_at == at("2026-11-23 17:30")
    assert plan.stages[0] == (at("2026-11-20 17:30"), "50%")


@pytest.mark.parametrize("text", ["", "80", "100%", "0%", "15m", "-0m", "+x", "80 %", "-1.5h"])
def test_a_stage_that_says_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Not a stage"):
        Stage.from_json({"at": text})


@pytest.mark.parametrize(
    ("basis", "amount", "rule"),
    [
        (Basis.ELAPSED, 0, ""),
        (Basis.WORKING, 60, "end_of_day"),
        (Basis.WORKING_DAYS, 5, ""),
        (Basis.CIVIL_DAYS, 5, "same_time"),
        (Basis.ELAPSED, 3654 * 24 * 3600, ""),
        (Basis.WORKING_DAYS, 3654, "end_of_day"),
    ],
)
def test_a_budget_without_sense_is_refused(basis: Basis, amount: int, rule: str) -> None:
    with pytest.raises(ValueError, match=r"budget|rule"):
        Budget(basis, amount, rule)


# --- phases -----------------------------------------------------------------------------------

DUE = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
RISK = DUE - timedelta(minutes=12)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("state", "party", "met_at", "now", "phase"),
    [
        (State.RUNNING, Party.US, None, RISK, Phase.ON_TIME),
        (State.RUNNING, Party.US, None, RISK + SECOND, Phase.AT_RISK),
        (State.RUNNING, Party.US, None, DUE, Phase.AT_RISK),
        (State.RUNNING, Party.US, None, DUE + SECOND, Phase.OVERDUE),
        (State.RUNNING, Party.CUSTOMER, None, DUE + SECOND, Phase.LAPSED),
        (State.RUNNING, Party.PROVIDER, None, DUE + SECOND, Phase.LAPSED),
        (State.PAUSED, Party.US, None, DUE + SECOND, Phase.PAUSED),
        (State.MET, Party.US, DUE, DUE + SECOND, Phase.MET),
        (State.MET, Party.US, DUE + SECOND, DUE + SECOND, Phase.MET_LATE),
        (State.CANCELLED, Party.US, None, DUE + SECOND, Phase.CANCELLED),
        (State.MERGED, Party.US, None, DUE + SECOND, Phase.MERGED),
    ],
)
def test_the_phase_is_a_comparison_with_now(
    state: State, party: Party, met_at: datetime | None, now: datetime, phase: Phase
) -> None:
    assert sla.phase(state, party, due_at=DUE, risk_at=RISK, met_at=met_at, now=now) == phase
