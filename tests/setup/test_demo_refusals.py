"""Where the demo is not loaded. Apart from test_demo, whose data would stand in the way."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from aftersales.accounts.models import Shop, User
from aftersales.common import dbtime, errors
from aftersales.setup import demo, profile
from tests.factories import make_ticket
from tests.tickets.conftest import at

pytestmark = pytest.mark.django_db

NOW = at("2026-11-20 10:00")


def test_a_database_with_other_cases_is_left_alone(tmp_path: Path) -> None:
    profile.load("maker", now=NOW - timedelta(weeks=9))
    with dbtime.at(NOW):
        make_ticket()
        with pytest.raises(errors.Conflict, match="conflict"):
            demo.load(tmp_path / "demo.json")
    assert not (tmp_path / "demo.json").exists()
    assert not Shop.objects.exists()


def test_a_policy_younger_than_the_stories_is_told_by_the_command(tmp_path: Path) -> None:
    profile.load("maker", now=dbtime.database_now())
    with pytest.raises(CommandError, match="younger"):
        call_command("load_demo", file=tmp_path / "demo.json")
    assert not User.objects.exists()
