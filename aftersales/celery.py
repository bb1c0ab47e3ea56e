"""The Celery application: queues, guards and the whole beat schedule.

Messages are hints. Every task drains rows that are in the database, so a lost, late or doubled
message costs time and nothing else. Schedules are plain intervals in seconds (no crontab: no DST).
"""

import logging.config
import os
from datetime import UTC, datetime

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from django_structlog.celery.steps import DjangoStructLogInitStep
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aftersales.settings")

app = Celery("aftersales")
app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    timezone="UTC",
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    task_time_limit=60,
    task_soft_time_limit=50,
    broker_connection_retry_on_startup=True,
    # A worker that gave up on the broker would take the sweep's own thread with it.
    broker_connection_max_retries=None,
    broker_transport_options={
        # A killed worker's message comes back after this many seconds; a broker's shortest wins.
        "visibility_timeout": 300,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
    },
    task_default_queue="default",
    # Own queues, so that a hanging SMTP server never holds the sweep.
    task_queues=[Queue("sla"), Queue("mail"), Queue("default")],
)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["worker"].update([DjangoStructLogInitStep, "tickets.ticker:Ticker"])


@setup_logging.connect
def log_as_the_web_does(**kwargs: object) -> None:
    """Worker and beat write the same JSON lines; with this receiver Celery leaves logging alone."""
    logging.config.dictConfig(settings.LOGGING)
    logging.captureWarnings(True)


SCHEDULE: dict[str, tuple[str, float, str]] = {
    # when and what: (task, seconds, queue)
    "every-second-scan-sla-clocks": ("tickets.tasks.scan_sla_clocks", 1.0, "sla"),
    "every-ten-seconds-rebase-sla-clocks": ("tickets.tasks.rebase_sla_clocks", 10.0, "default"),
    "every-minute-close-unanswered-cases": (
        "tickets.tasks.close_unanswered_cases",
        60.0,
        "default",
    ),
    "every-second-relay-fan-out": ("aftersales.messaging.tasks.relay_fan_out", 1.0, "default"),
    "every-second-relay-mail": ("aftersales.messaging.tasks.relay_mail", 1.0, "mail"),
    "every-second-relay-sms": ("aftersales.messaging.tasks.relay_sms", 1.0, "default"),
    "every-second-relay-webhooks": ("aftersales.messaging.tasks.relay_webhooks", 1.0, "default"),
    "every-ten-seconds-tell-managers": (
        "aftersales.messaging.tasks.tell_managers",
        10.0,
        "default",
    ),
    # Bounded, and hourly rather than daily: a beat that is restarted every night still gets to it.
    "hourly-clean-accounts": ("aftersales.accounts.tasks.clean_accounts", 3600.0, "default"),
    "hourly-clean-messages": ("aftersales.messaging.tasks.clean_messages", 3600.0, "default"),
    "daily-remove-orphan-files": ("tickets.tasks.remove_orphan_files", 86400.0, "default"),
}
app.conf.beat_schedule = {
    name: {
        "task": task,
        "schedule": seconds,
        "options": {"queue": queue, "expires": seconds},
        # A beat without its file begins with every task, and does not wait out an hourly one first.
        "last_run_at": datetime(2000, 1, 1, tzinfo=UTC),
    }
    for name, (task, seconds, queue) in SCHEDULE.items()
}
app.conf.task_routes = {task: {"queue": queue} for task, _, queue in SCHEDULE.values()}
app.autodiscover_tasks()
