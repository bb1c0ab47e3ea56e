"""Calendars as arithmetic. Versions never change once published, so a process keeps them."""

from functools import lru_cache

from aftersales.common import worktime
from tickets.models import CalendarVersion


@lru_cache(maxsize=64)
def calendar(version_id: int) -> worktime.Calendar:
    """The arithmetic of one calendar version."""
    return CalendarVersion.objects.prefetch_related("dates").get(pk=version_id).worktime()


@lru_cache(maxsize=64)
def endless_calendar(version_id: int) -> worktime.Calendar:
    """The same, its week pattern carried on past its last day; what it says is provisional."""
    return (
        CalendarVersion.objects.prefetch_related("dates").get(pk=version_id).worktime(endless=True)
    )


def newest_version(calendar_id: int) -> CalendarVersion:
    """The version that new clocks count by. Raises DoesNotExist for a calendar without versions."""
    return CalendarVersion.objects.filter(calendar_id=calendar_id).latest("number")
