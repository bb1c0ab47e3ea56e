"""Cases need a policy in force."""

from datetime import UTC, datetime

import pytest

from aftersales.setup import profile
from tickets.models import PolicyVersion


@pytest.fixture(autouse=True)
def _policy(db: None) -> None:
    if not PolicyVersion.objects.exists():
        profile.load("maker", now=datetime(2025, 1, 1, tzinfo=UTC))
