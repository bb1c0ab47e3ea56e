"""Profiles: files of policy data, published as one policy version with its calendar."""

import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from aftersales.setup import holidays_cn
from tickets.models import PolicyVersion
from tickets.workflow import publishing

FOLDER = Path(__file__).parent / "profiles"


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read(name: str) -> dict[str, Any]:
    """The profile's file. Raises FileNotFoundError for an unknown name."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


@transaction.atomic
def load(name: str, *, now: datetime) -> PolicyVersion:
    """Publish the profile's calendar and rules; they judge what is received from ``now`` on."""
    profile = read(name)
    facts = profile["calendar"]
    week = {str(day): facts["week"]["windows"] for day in facts["week"]["days"]}
    version = publishing.publish_calendar(
        publishing.CalendarFacts(
            code=facts["code"],
            name_zh=facts["name_zh"],
            name_en=facts["name_en"],
            zone=facts["zone"],
            week=week,
            until=date(holidays_cn.LAST_YEAR, 12, 31),
            settled_until=holidays_cn.SETTLED_UNTIL,
            dates=holidays_cn.dates(facts["week"]["windows"]),
        ),
        now=now,
    )
    return publishing.publish_policy(profile, version.calendar, now=now)
