"""Publishing a policy and a calendar: from then on they never change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from aftersales.common import errors
from tickets import sla
from tickets.models import (
    Calendar,
    CalendarDate,
    CalendarVersion,
    ComplaintPlan,
    GradingRule,
    LevelDefinition,
    PauseReason,
    PolicyVersion,
    Target,
)
from tickets.models.clock import EXPLANATION, SIGNATURE

SHORTEST_REACH = timedelta(days=400)
BUDGET_UNITS = {"seconds", "days"}


@dataclass(frozen=True)
class CalendarFacts:
    """A calendar as it is to be published; ``week`` and the dates' windows as in the models."""

    code: str
    name_zh: str
    name_en: str
    zone: str
    week: Mapping[str, Sequence[Sequence[str]]]
    until: date
    settled_until: date
    dates: Sequence[CalendarDate]


@transaction.atomic
def publish_calendar(facts: CalendarFacts, *, now: datetime) -> CalendarVersion:
    """Add a version of a calendar; new clocks count by it from now on.

    Promises that run already follow within seconds (tickets.tasks.rebase_sla_clocks). Locks the
    calendar. Raises Conflict for one that ends in under 400 days, ValueError for windows that are
    no times.
    """
    if facts.until < now.date() + SHORTEST_REACH:
        raise errors.Conflict(code="calendar_too_short")
    calendar, _created = Calendar.objects.get_or_create(
        code=facts.code, defaults={"name_zh": facts.name_zh, "name_en": facts.name_en}
    )
    Calendar.objects.select_for_update().get(pk=calendar.pk)
    version = CalendarVersion.objects.create(
        calendar=calendar,
        number=calendar.versions.count() + 1,
        zone=facts.zone,
        week=facts.week,
        until=facts.until,
        settled_until=facts.settled_until,
        published_at=now,
    )
    for day in facts.dates:
        day.version = version
    CalendarDate.objects.bulk_create(facts.dates)
    version.worktime()
    return version


@transaction.atomic
def publish_policy(
    profile: Mapping[str, Any], calendar: Calendar, *, now: datetime
) -> PolicyVersion:
    """Put a profile's rules in force from now on; the version before rules until now.

    Raises ValueError, KeyError or TypeError for a profile that does not hold together: a stage or
    budget that cannot be read, an explanation that asks for another; ValidationError for a rule
    that cannot be, such as a wait that stops the first response.
    """
    current = PolicyVersion.objects.select_for_update().order_by("-number").first()
    if current is not None:
        current.in_force = (current.in_force.lower, now)
        current.save(update_fields=["in_force"])
    version = PolicyVersion.objects.create(
        profile=profile["name"],
        number=current.number + 1 if current else 1,
        in_force=(now, None),
        published_at=now,
        default_calendar=calendar,
        figures=profile["figures"],
    )
    Target.objects.bulk_create([_target(version, calendar, row) for row in profile["target"]])
    for model, name in (
        (LevelDefinition, "level"),
        (GradingRule, "grading_rule"),
        (PauseReason, "pause_reason"),
        (ComplaintPlan, "complaint_plan"),
    ):
        for row in profile[name]:
            rule = model(policy=version, **row)
            rule.full_clean(exclude=["policy"])
            rule.save(force_insert=True)
    return version


def _target(version: PolicyVersion, calendar: Calendar, row: Mapping[str, Any]) -> Target:
    values = dict(row)
    budgets = [_budget(budget) for budget in values.pop("budgets")]
    stages = values.pop("stages", [])
    target = Target(
        policy=version,
        clock_kind=values.pop("clock"),
        calendar=calendar,
        budgets=budgets,
        stages=stages,
        **values,
    )
    keys = [sla.Stage.from_json(stage).at for stage in stages]
    if len(keys) != len(set(keys)):
        raise ValueError(f"{target}: a stage is listed twice.")
    if target.explain and target.clock_kind in (EXPLANATION, SIGNATURE):
        raise ValueError(f"{target}: an explanation is not explained itself.")
    return target


def _budget(value: Mapping[str, Any]) -> dict[str, Any]:
    """``{basis, seconds | days, rule?}`` of a profile as tickets.sla.Budget reads it."""
    amounts = BUDGET_UNITS & set(value)
    days_only = value["basis"] in (sla.Basis.WORKING_DAYS, sla.Basis.CIVIL_DAYS)
    if amounts != ({"days"} if days_only else {"seconds"}):
        raise ValueError(f"A budget by {value['basis']} is given in its own unit.")
    budget = {
        "basis": value["basis"],
        "amount": value[amounts.pop()],
        "rule": value.get("rule", ""),
    }
    sla.Budget.from_json(budget)
    return budget
