"""A published policy for every test of cases, and a place in time to play them."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from aftersales.common import dbtime
from aftersales.setup import profile
from tickets.models import PolicyVersion

ZONE = ZoneInfo("Asia/Shanghai")
PUBLISHED = datetime(2025, 1, 1, tzinfo=ZONE)


def at(text: str) -> datetime:
    """ "2026-11-20 10:00" in the firm's zone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.fixture
def maker(db: None) -> PolicyVersion:
    """The profile "maker", in force since 2025."""
    known = PolicyVersion.objects.filter(profile="maker").first()
    return known or profile.load("maker", now=PUBLISHED)


class Moment:
    """Stands still until moved: ``moment("2026-11-20 10:00")``, ``moment.later(minutes=5)``."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.now = PUBLISHED

    def __call__(self, text: str) -> datetime:
        return self.set(at(text))

    def set(self, moment: datetime) -> datetime:
        self._stack.close()
        self._stack.enter_context(dbtime.at(moment))
        self.now = moment
        return moment

    def later(self, **span: float) -> datetime:
        return self.set(self.now + timedelta(**span))

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def moment(maker: PolicyVersion) -> Iterator[Moment]:
    """Time in the test's hand; begins on Friday 2026-11-20 at 10:00 in the firm's zone."""
    moment = Moment()
    moment("2026-11-20 10:00")
    yield moment
    moment.close()
