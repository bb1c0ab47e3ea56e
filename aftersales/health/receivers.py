"""Celery's signals become rows: the health check must see the result, not the intention."""

from typing import Any

from celery import Celery, Task, current_app, signals
from django.db.models.functions import Now

from aftersales.common import logs
from aftersales.health.models import TaskRun

ERROR_LENGTH = 500


def schedule(app: Celery | None = None) -> dict[str, float]:
    """The scheduled tasks and the seconds between their runs (the longest, if it stands twice)."""
    entries: dict[str, Any] = (app or current_app).conf.beat_schedule or {}
    seconds: dict[str, float] = {}
    for entry in entries.values():
        seconds[entry["task"]] = max(float(entry["schedule"]), seconds.get(entry["task"], 0))
    return seconds


def _note(name: str, **values: Any) -> None:
    TaskRun.objects.bulk_create(
        [TaskRun(name=name, **values)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=list(values),
    )


def note_success(sender: Task[Any, Any], **kwargs: Any) -> None:
    if sender.name in schedule():
        _note(sender.name, succeeded_at=Now())


def note_failure(sender: Task[Any, Any], exception: BaseException, **kwargs: Any) -> None:
    if sender.name in schedule():
        error = f"{type(exception).__name__}: {logs.without_quotations(str(exception))}"
        _note(sender.name, failed_at=Now(), error=error[:ERROR_LENGTH])


def expect_scheduled_tasks(**kwargs: Any) -> None:
    """Beat has started: from now on each scheduled task is expected."""
    TaskRun.objects.bulk_create(
        [TaskRun(name=name) for name in sorted(schedule())], ignore_conflicts=True
    )


def connect() -> None:
    signals.task_success.connect(note_success)
    signals.task_failure.connect(note_failure)
    signals.beat_init.connect(expect_scheduled_tasks)
