"""What Celery tells becomes rows."""

from datetime import timedelta

import pytest
from celery import shared_task, signals

from aftersales.common import dbtime
from aftersales.health import receivers
from aftersales.health.models import TaskRun

pytestmark = pytest.mark.django_db


@shared_task(name="tests.watched")
def watched() -> None: ...


@shared_task(name="tests.unwatched")
def unwatched() -> None: ...


@pytest.fixture(autouse=True)
def _schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "schedule", lambda: {"tests.watched": 1.0})


def test_it_notes_when_a_scheduled_task_succeeded() -> None:
    for _ in range(2):
        signals.task_success.send(sender=watched, result=None)
    run = TaskRun.objects.get()
    assert run.name == "tests.watched"
    assert run.succeeded_at is not None
    assert dbtime.database_now() - run.succeeded_at < timedelta(minutes=1)


def test_it_notes_a_failure_beside_the_last_success_and_without_what_it_quotes() -> None:
    signals.task_success.send(sender=watched, result=None)
    signals.task_failure.send(sender=watched, exception=ValueError("no name like '张三'"))
    run = TaskRun.objects.get()
    assert run.succeeded_at is not None
    assert run.failed_at is not None
    assert run.error == "ValueError: no name like …"


def test_it_leaves_out_tasks_that_nobody_expects() -> None:
    signals.task_success.send(sender=unwatched, result=None)
    signals.task_failure.send(sender=unwatched, exception=ValueError())
    assert not TaskRun.objects.exists()


def test_it_expects_every_scheduled_task_from_the_start_of_beat_on() -> None:
    signals.beat_init.send(sender=None)
    first = TaskRun.objects.get()
    signals.beat_init.send(sender=None)
    assert TaskRun.objects.get().expected_since == first.expected_since
