"""The demo's data: there in one go, alive, kept by a second run, and open to nobody by default."""

import json
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from pytest_django import DjangoDbBlocker

from aftersales.accounts.models import ApiKey, Role, Shop, Team, User
from aftersales.common import dbtime
from aftersales.common.worktime import Calendar
from aftersales.customers.models import Contact, Order, Product, Unit
from aftersales.messaging import relay
from aftersales.messaging.models import Notice, Outbox
from aftersales.setup import demo
from aftersales.setup.demo import people, playing
from tests.tickets.conftest import at
from tickets import clocks, states
from tickets.models import Clock, Event, Explanation, PolicyVersion, Ticket

pytestmark = pytest.mark.django_db

NOW = at("2026-11-20 10:00")


@pytest.fixture(scope="module")
def _world(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """Loaded once for all tests here; each of them is undone by itself."""
    path = tmp_path_factory.mktemp("demo") / "local" / "demo.json"
    with django_db_blocker.unblock(), transaction.atomic():
        with dbtime.at(NOW):
            assert demo.load(path) == demo.Loaded(cases=41, is_new=True, ended_early=[])
        yield path
        transaction.set_rollback(True)


@pytest.fixture
def loaded(_world: Path, db: None) -> Iterator[Path]:
    before = _world.read_bytes()
    with dbtime.at(NOW):
        yield _world
    _world.write_bytes(before)


def facts(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text())
    return read


# --- the file -----------------------------------------------------------------------------------


def test_the_file_has_the_agreed_shape_and_is_its_owners_alone(loaded: Path) -> None:
    found = facts(loaded)
    assert set(found) == {"url", "accounts", "customer", "api", "staff_keys"}
    assert found["url"] == settings.BASE_URL
    assert {frozenset(account) for account in found["accounts"]} == {
        frozenset({"role", "username", "password"})
    }
    assert set(found["customer"]) == {"link"}
    assert set(found["api"]) == {"client_id", "key"}
    assert {frozenset(key) for key in found["staff_keys"]} == {frozenset({"role", "key"})}
    assert stat.S_IMODE(loaded.stat().st_mode) == 0o600


def test_every_role_has_an_account_and_agents_and_supervisors_two(loaded: Path) -> None:
    roles = [account["role"] for account in facts(loaded)["accounts"]]
    assert set(roles) == set(Role.values)
    assert roles.count("agent") == roles.count("supervisor") == 2


def test_every_password_opens_its_account(loaded: Path) -> None:
    accounts = facts(loaded)["accounts"]
    assert len({account["password"] for account in accounts}) == len(accounts)
    for account in accounts:
        user = authenticate(None, username=account["username"], password=account["password"])
        assert isinstance(user, User)
        assert user.roles == [account["role"]]
        assert user.display_name.isalpha()
        assert not user.display_name.isascii()


def test_every_key_opens_the_api(loaded: Path) -> None:
    found = facts(loaded)
    for key in [found["api"]["key"], *(entry["key"] for entry in found["staff_keys"])]:
        answer = Client().get("/api/v1/me/", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 200
    assert str(Shop.objects.get(code="lantu").clients.get().public_id) == found["api"]["client_id"]


def test_the_customers_link_opens_a_case_with_a_talk_in_it(loaded: Path) -> None:
    link = facts(loaded)["customer"]["link"]
    assert link.startswith(f"{settings.BASE_URL}/c/")
    answer = Client().get(link.removeprefix(settings.BASE_URL))
    assert answer.status_code == 200
    assert answer.content.decode().count('class="ours"') >= 2


def test_a_second_run_keeps_data_and_file(loaded: Path) -> None:
    before, count = loaded.read_bytes(), Ticket.objects.count()
    assert demo.load(loaded) == demo.Loaded(cases=0, is_new=False, ended_early=[])
    assert loaded.read_bytes() == before
    assert Ticket.objects.count() == count


def test_a_run_at_another_address_moves_the_links_and_keeps_the_passwords(
    loaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = facts(loaded)
    monkeypatch.setattr(settings, "BASE_URL", "http://localhost:8123")
    demo.load(loaded)
    after = facts(loaded)
    assert after["url"] == "http://localhost:8123"
    assert after["customer"]["link"].startswith("http://localhost:8123/c/")
    assert after["accounts"] == before["accounts"]


def test_without_the_file_there_are_new_passwords_and_keys_and_the_old_ones_are_dead(
    loaded: Path,
) -> None:
    before = facts(loaded)
    loaded.unlink()
    assert not demo.load(loaded).is_new
    after = facts(loaded)
    assert ApiKey.objects.is_valid(after["api"]["key"])
    assert not ApiKey.objects.is_valid(before["api"]["key"])
    old, new = before["accounts"][3], after["accounts"][3]
    assert authenticate(None, username=old["username"], password=old["password"]) is None
    assert authenticate(None, username=new["username"], password=new["password"]) is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"accounts": []}'])
def test_a_broken_file_is_made_anew(loaded: Path, text: str) -> None:
    loaded.write_text(text)
    demo.load(loaded)
    assert people.WayIn(**{k: facts(loaded)[k] for k in ("accounts", "api", "staff_keys")}).opens()


def test_the_file_of_another_database_is_made_anew(loaded: Path) -> None:
    before = facts(loaded)
    before["staff_keys"][0]["key"] = "abcdefgh.notakeyofthisdatabase"
    loaded.write_text(json.dumps(before))
    demo.load(loaded)
    assert facts(loaded)["api"] != before["api"]


# --- the data -----------------------------------------------------------------------------------


def test_there_are_cases_of_every_level_stage_and_both_languages(loaded: Path) -> None:
    tickets = Ticket.objects.all()
    assert set(tickets.values_list("level", flat=True)) == set(states.Level.values)
    wanted = set(states.Status.values) - {states.Status.MERGED}
    assert set(tickets.values_list("status", flat=True)) == wanted
    assert set(tickets.values_list("language", flat=True)) == {"zh-hans", "en"}
    assert len(set(tickets.values_list("kind", flat=True))) >= 9
    assert len(set(tickets.values_list("channel", flat=True))) >= 9
    assert set(tickets.values_list("grading", flat=True)) == set(states.Grading.values)


def test_explanations_are_at_every_stage(loaded: Path) -> None:
    found = set(Explanation.objects.values_list("state", flat=True))
    assert {"due", "submitted", "returned", "signed"} <= found


def test_events_lie_in_the_last_three_weeks_and_none_in_the_future(loaded: Path) -> None:
    moments = list(Event.objects.values_list("at", flat=True))
    assert min(moments) > NOW - timedelta(weeks=3)
    assert max(moments) <= NOW
    assert PolicyVersion.objects.get().in_force.lower == NOW - timedelta(weeks=4)


def test_people_act_in_service_hours(loaded: Path) -> None:
    version = PolicyVersion.objects.get().default_calendar.versions.get()
    calendar = version.worktime()
    acts = Event.objects.exclude(actor_user=None).filter(at__lt=NOW - timedelta(hours=3))
    assert acts.count() > 100
    for act in acts:
        assert calendar.next_open(act.at) == act.at, act.at


def test_what_was_late_was_flagged_at_its_own_time(loaded: Path) -> None:
    breaches = Event.objects.filter(name="clock.breached")
    assert breaches.count() >= 10
    for breach in breaches:
        assert breach.at == breach.due_at
        assert timedelta(0) <= breach.recorded_at - breach.at <= timedelta(seconds=1)
    assert clocks.sweep() == 0


def test_two_deadlines_fall_due_while_one_watches(loaded: Path) -> None:
    soon = Clock.objects.filter(
        kind="response", state="running", due_at__range=(NOW, NOW + timedelta(minutes=10))
    )
    assert soon.count() == 2
    assert all(clock.due_at > NOW + timedelta(minutes=2) for clock in soon)
    with dbtime.at(NOW + timedelta(minutes=7)):
        clocks.sweep()
    assert Event.objects.filter(name="clock.breached", clock__in=soon).count() == 2


def test_nobody_is_written_to_for_the_past_and_the_bells_have_rung(loaded: Path) -> None:
    assert not Outbox.objects.pending().exclude(topic="tickets.event").exists()
    assert Outbox.objects.filter(topic="mail", last_error="DemoHistory").count() > 40
    assert Notice.objects.filter(created_at__lt=NOW - timedelta(days=10)).count() > 10
    relay.relay_fan_out()
    assert not Outbox.objects.pending().filter(topic="mail").exists()


def test_the_firm_is_there(loaded: Path) -> None:
    assert Team.objects.filter(is_intake=True).get().code == "service"
    assert Shop.objects.count() == 2
    assert Order.objects.count() == 5
    assert Product.objects.count() == 12
    assert Unit.objects.count() >= 15
    assert Contact.objects.count() >= 13
    assert Ticket.objects.filter(order__isnull=False).count() >= 4
    assert Ticket.objects.filter(product_unverified=True).exists()
    assert Ticket.objects.filter(unit__isnull=False).count() >= 15


def test_personal_numbers_in_the_stories_are_masked(loaded: Path) -> None:
    assert Ticket.objects.filter(description__contains="138****8007").exists()
    assert not Ticket.objects.filter(description__contains="13800138007").exists()


# --- loading ------------------------------------------------------------------------------------


def test_the_command_says_where_the_ways_in_are(
    loaded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("load_demo", file=loaded)
    said = capsys.readouterr().out
    assert "there already" in said
    assert str(loaded) in said
    assert facts(loaded)["accounts"][0]["password"] not in said


def nine_to_five() -> Calendar:
    return Calendar("Asia/Shanghai", {day: [("09:00", "17:00")] for day in range(5)}, {})


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1 14:05", "2026-11-19 14:05"),
        ("4 09:00", "2026-11-16 09:00"),
        ("5 09:00", "2026-11-13 09:00"),
        ("now -1h30m", "2026-11-20 08:30"),
        ("now -2m", "2026-11-20 09:58"),
    ],
)
def test_a_story_begins_so_many_working_days_ago(text: str, moment: str) -> None:
    assert playing.begin(nine_to_five(), NOW, text) == at(moment)


@pytest.mark.parametrize(
    ("delay", "plain", "moment"),
    [
        ("20m", False, "2026-11-20 16:50"),
        ("1h", False, "2026-11-23 09:30"),
        ("1d", False, "2026-11-23 16:30"),
        ("1d1h", False, "2026-11-24 09:30"),
        ("1d", True, "2026-11-21 16:30"),
        ("90s", True, "2026-11-20 16:31:30"),
    ],
)
def test_a_step_follows_in_service_hours_or_in_plain_time(
    delay: str, plain: bool, moment: str
) -> None:
    start = at("2026-11-20 16:30")
    assert playing.later(nine_to_five(), start, delay, plain=plain) == at(moment)


def test_a_delay_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="Not a span"):
        playing.later(nine_to_five(), datetime(2026, 1, 1, tzinfo=UTC), "soon", plain=True)
