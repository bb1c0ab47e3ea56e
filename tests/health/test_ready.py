"""Readiness is judged by results: one test for each thing that can fail, and for its boundary."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from aftersales.common import dbtime
from aftersales.health import checks, receivers
from aftersales.health.checks import Verdict
from aftersales.health.models import TaskRun
from aftersales.messaging.models import Outbox
from tests import factories
from tickets.models import CalendarVersion, Ticket

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)


def answer(client: Client) -> tuple[int, dict[str, Any]]:
    response = client.get("/health/ready")
    return response.status_code, response.json()


def wake(ticket: Ticket, moment: datetime, attempts: int = 0) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(wake_at=moment, wake_attempts=attempts)


@pytest.fixture
def _all_tasks_ran() -> None:
    TaskRun.objects.bulk_create(
        TaskRun(name=name, succeeded_at=dbtime.database_now()) for name in receivers.schedule()
    )


@pytest.mark.usefixtures("_all_tasks_ran")
def test_it_is_ready_when_everything_is_done_in_time(client: Client) -> None:
    code, body = answer(client)
    assert (code, body["status"]) == (200, "ready"), body
    assert set(body["checks"]) == {"database", "broker", *checks.NEEDING_THE_DATABASE}


@pytest.mark.parametrize(("late", "verdict"), [(30, Verdict.READY), (31, Verdict.FAILED)])
def test_it_fails_when_a_due_case_has_waited_over_30_seconds(late: int, verdict: Verdict) -> None:
    wake(factories.make_ticket(), NOW - timedelta(seconds=late))
    with dbtime.at(NOW):
        assert checks.deadlines().verdict == verdict


def test_it_does_not_mind_a_case_that_is_due_later() -> None:
    wake(factories.make_ticket(), NOW + timedelta(seconds=1))
    with dbtime.at(NOW):
        assert checks.deadlines().facts == {"oldest_seconds": 0.0}


@pytest.mark.parametrize(
    ("count", "verdict"),
    [(0, Verdict.READY), (1, Verdict.DEGRADED), (9, Verdict.DEGRADED), (10, Verdict.FAILED)],
)
def test_it_fails_when_pushed_cases_pile_up(count: int, verdict: Verdict) -> None:
    for ticket in [factories.make_ticket() for _ in range(count)]:
        wake(ticket, NOW + timedelta(minutes=5), attempts=1)
    wake(factories.make_ticket(), NOW + timedelta(minutes=5))
    with dbtime.at(NOW):
        assert checks.pushed() == checks.Finding(verdict, {"cases": count})


@pytest.fixture
def _one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "schedule", lambda: {"every.ten.seconds": 10.0})


@pytest.mark.usefixtures("_one_task")
@pytest.mark.parametrize(("ago", "verdict"), [(60, Verdict.READY), (61, Verdict.FAILED)])
def test_it_fails_when_a_scheduled_task_has_missed_three_runs(ago: int, verdict: Verdict) -> None:
    TaskRun.objects.create(
        name="every.ten.seconds",
        expected_since=NOW - timedelta(days=1),
        succeeded_at=NOW - timedelta(seconds=ago),
    )
    with dbtime.at(NOW):
        assert checks.tasks().verdict == verdict


@pytest.mark.usefixtures("_one_task")
def test_it_fails_when_a_scheduled_task_only_ever_fails() -> None:
    TaskRun.objects.create(
        name="every.ten.seconds", expected_since=NOW - timedelta(days=1), failed_at=NOW
    )
    with dbtime.at(NOW):
        overdue = {"overdue": ["every.ten.seconds"]}
        assert checks.tasks() == checks.Finding(Verdict.FAILED, overdue)


@pytest.mark.usefixtures("_one_task")
def test_it_fails_when_no_beat_has_ever_started() -> None:
    assert checks.tasks().verdict == Verdict.FAILED


@pytest.mark.usefixtures("_one_task")
def test_it_gives_a_new_task_time_for_its_first_run() -> None:
    TaskRun.objects.create(name="every.ten.seconds", expected_since=NOW)
    with dbtime.at(NOW + timedelta(seconds=60)):
        assert checks.tasks().verdict == Verdict.READY


def test_it_fails_when_a_migration_is_missing() -> None:
    MigrationRecorder(connection).record_unapplied("health", "0001_initial")
    missing = {"missing": ["health.0001_initial"]}
    assert checks.migrations() == checks.Finding(Verdict.FAILED, missing)


@pytest.mark.parametrize(("seconds", "verdict"), [(1, Verdict.READY), (3, Verdict.FAILED)])
@pytest.mark.parametrize("sign", [1, -1])
def test_it_fails_when_process_and_database_disagree_about_the_time(
    seconds: int, verdict: Verdict, sign: int
) -> None:
    with dbtime.at(datetime.now(UTC) + sign * timedelta(seconds=seconds)):
        assert checks.clock().verdict == verdict


@pytest.mark.usefixtures("_all_tasks_ran")
def test_it_is_degraded_but_serves_without_redis(client: Client, settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/at/all.sock?db=0"
    code, body = answer(client)
    assert (code, body["status"]) == (200, "degraded")
    assert body["checks"]["broker"]["status"] == "degraded"


def test_it_stays_degraded_when_tasks_wait_for_redis_for_long(
    client: Client, settings: Any
) -> None:
    assert answer(client)[1]["checks"]["tasks"]["status"] == "failed"
    settings.REDIS_URL = "unix:///nowhere/at/all.sock?db=0"
    code, body = answer(client)
    assert (code, body["status"], body["checks"]["tasks"]["status"]) == (
        200,
        "degraded",
        "degraded",
    )


def test_it_is_degraded_while_messages_wait_or_were_given_up() -> None:
    Outbox.objects.create(
        topic="mail", dedupe_key="late", payload={}, available_at=NOW - timedelta(minutes=6)
    )
    with dbtime.at(NOW):
        assert checks.messages().verdict == Verdict.DEGRADED
    Outbox.objects.update(available_at=NOW, dead_at=NOW)
    with dbtime.at(NOW):
        assert checks.messages().facts == {"oldest_seconds": 0.0, "given_up": 1}


def test_it_is_degraded_when_a_calendar_soon_runs_out_of_days() -> None:
    factories.make_ticket()  # loads a policy with its calendars
    last = max(CalendarVersion.objects.values_list("until", flat=True))
    with dbtime.at(datetime.combine(last, datetime.min.time(), UTC) - timedelta(days=120)):
        assert checks.calendars().verdict == Verdict.READY
    with dbtime.at(datetime.combine(last, datetime.min.time(), UTC) - timedelta(days=119)):
        assert checks.calendars().verdict == Verdict.DEGRADED


def test_it_fails_without_the_database_and_says_no_more_than_that(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise OperationalError("could not connect to secret-host with password hunter2")

    monkeypatch.setattr(connection, "cursor", refuse)
    code, body = answer(client)
    assert code == 503
    assert body["checks"]["database"] == {"status": "failed", "error": "OperationalError"}
    assert set(body["checks"]) == {"database", "broker"}


def test_it_fails_when_a_table_cannot_be_read(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> checks.Finding:
        raise OperationalError("relation of a secret does not exist")

    monkeypatch.setitem(checks.NEEDING_THE_DATABASE, "pushed", broken)
    code, body = answer(client)
    assert code == 503
    assert body["checks"]["pushed"] == {"status": "failed", "error": "OperationalError"}


@pytest.mark.parametrize("path", ["/health/ready", "/health/live"])
def test_it_is_never_cached_and_needs_no_sign_in(client: Client, path: str) -> None:
    assert "no-store" in client.get(path)["Cache-Control"]


def test_it_is_alive_whatever_the_database_does(
    client: Client, django_assert_num_queries: Callable[[int], Any]
) -> None:
    with django_assert_num_queries(0):
        assert client.get("/health/live").json() == {"status": "live"}


def test_it_asks_the_same_whatever_number_of_cases_is_open(
    client: Client, django_assert_num_queries: Callable[[int], Any]
) -> None:
    for count in (1, 5):
        for _ in range(count):
            factories.make_ticket()
        with django_assert_num_queries(15):
            client.get("/health/ready")


def test_it_watches_every_task_of_the_real_schedule() -> None:
    from aftersales import celery

    assert set(receivers.schedule()) == {task for task, _, _ in celery.SCHEDULE.values()}
    assert settings.CELERY_BROKER_URL
