"""What may be published, and from when on it counts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from aftersales.common import errors
from aftersales.setup import profile
from tests.factories import make_ticket
from tests.tickets.conftest import Moment, at
from tickets import clocks
from tickets.models import CalendarDate, CalendarVersion, PauseReason, PolicyVersion
from tickets.workflow import publishing

FACTS = publishing.CalendarFacts(
    code="workshop",
    name_zh="车间",
    name_en="Workshop",
    zone="Asia/Shanghai",
    week={"0": [["08:00", "16:00"]]},
    until=date(2028, 12, 31),
    settled_until=date(2026, 12, 31),
    dates=[],
)


def test_each_publishing_of_a_calendar_is_a_version_of_its_own(moment: Moment) -> None:
    first = publishing.publish_calendar(FACTS, now=moment.now)
    second = publishing.publish_calendar(FACTS, now=moment.now)
    assert (first.calendar, first.number, second.number) == (second.calendar, 1, 2)


def test_a_calendar_reaches_400_days_ahead(moment: Moment) -> None:
    last = moment.now.date() + timedelta(days=400)
    publishing.publish_calendar(replace(FACTS, until=last), now=moment.now)
    with pytest.raises(errors.Conflict) as refused:
        publishing.publish_calendar(replace(FACTS, until=last - timedelta(days=1)), now=moment.now)
    assert refused.value.code == "calendar_too_short"


@pytest.mark.parametrize(
    "nonsense",
    [{"week": {"0": [["16:00", "08:00"]]}}, {"week": {"7": []}}, {"zone": "Mars/Olympus"}],
    ids=str,
)
def test_a_calendar_that_cannot_be_read_leaves_nothing(
    moment: Moment, nonsense: dict[str, Any]
) -> None:
    with pytest.raises((ValueError, KeyError)):
        publishing.publish_calendar(replace(FACTS, **nonsense), now=moment.now)
    assert not CalendarVersion.objects.filter(calendar__code="workshop").exists()


def test_its_dates_belong_to_the_version(moment: Moment) -> None:
    closed = CalendarDate(on=date(2026, 12, 7), kind="exception", windows=[])
    version = publishing.publish_calendar(replace(FACTS, dates=[closed]), now=moment.now)
    assert version.worktime().due(at("2026-12-05 00:00"), timedelta(hours=1)) == at(
        "2026-12-14 09:00"
    )


def test_a_case_is_judged_for_ever_by_the_policy_of_its_receipt(
    moment: Moment, maker: PolicyVersion
) -> None:
    before = make_ticket()
    moment.later(seconds=1)
    rules = profile.read("maker")
    newer = publishing.publish_policy(rules, maker.default_calendar, now=moment.now)
    assert make_ticket().policy == newer
    with clocks.open_case(before.pk) as case:
        assert case.policy.version == maker
    maker.refresh_from_db()
    newer.refresh_from_db()
    assert maker.in_force.upper == newer.in_force.lower == moment.now


BREAKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "a stage that is no moment": lambda target: target.update(stages=[{"at": "soon"}]),
    "a stage listed twice": lambda target: target.update(stages=[{"at": "80%"}, {"at": "80%"}]),
    "days counted in seconds": lambda target: target.update(
        budgets=[{"basis": "working_days", "seconds": 60}]
    ),
    "seconds counted in days": lambda target: target.update(
        budgets=[{"basis": "elapsed", "days": 1}]
    ),
    "a budget of nothing": lambda target: target.update(
        budgets=[{"basis": "elapsed", "seconds": 0}]
    ),
    "an explanation that asks for another": lambda target: target.update(
        clock="explanation", explain=True
    ),
    "a field that is not there": lambda target: target.update(colour="red"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_promise_that_makes_no_sense_is_refused(
    moment: Moment, maker: PolicyVersion, name: str
) -> None:
    rules = profile.read("maker")
    BREAKS[name](rules["target"][0])
    with pytest.raises((ValueError, TypeError)):
        publishing.publish_policy(rules, maker.default_calendar, now=moment.now)
    assert clocks.in_force(moment.now).version == maker


def test_no_wait_stops_the_first_response(moment: Moment, maker: PolicyVersion) -> None:
    rules = profile.read("maker")
    rules["pause_reason"][0]["stops"] = ["resolution", "response"]
    with pytest.raises(ValidationError) as refused:
        publishing.publish_policy(rules, maker.default_calendar, now=moment.now)
    (rule,) = [
        constraint
        for constraint in PauseReason._meta.constraints
        if constraint.name == "tickets_pausereason_never_first_response"
    ]
    (error,) = refused.value.error_dict["__all__"]
    assert error.message == rule.violation_error_message
