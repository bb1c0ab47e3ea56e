"""What settings and the schedule promise."""

import os
import subprocess
import sys

import environ
import pytest

from aftersales.celery import SCHEDULE, app
from aftersales.messaging import relay, tasks, topics


def start(**values: str) -> str:
    """What a fresh process says to these settings."""
    code = "from django.conf import settings as s; print(s.EMAIL_BACKEND, s.EMAIL_FILE_PATH)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | values, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def test_it_reads_the_mail_server_from_one_address() -> None:
    read = environ.Env.email_url_config
    tls = read("smtp+tls://user%40x:p%40ss%2Fw@mail.example.com:587")
    assert tls["EMAIL_USE_TLS"] is True
    assert (tls["EMAIL_HOST"], tls["EMAIL_PORT"]) == ("mail.example.com", 587)
    assert (tls["EMAIL_HOST_USER"], tls["EMAIL_HOST_PASSWORD"]) == ("user@x", "p@ss/w")
    assert read("smtp+ssl://mail.example.com:465")["EMAIL_USE_SSL"] is True
    assert read("filemail:////var/mails")["EMAIL_FILE_PATH"] == "/var/mails"


def test_it_starts_with_mails_in_a_folder() -> None:
    said = start(EMAIL_URL="filemail:////var/mails")
    assert said.split() == ["aftersales.messaging.mailfile.EmailBackend", "/var/mails"]


@pytest.mark.parametrize("url", ["smtps://user:pass@mail.example.com:465", "pigeon://x"])
def test_it_refuses_to_start_with_an_address_that_means_something_else(url: str) -> None:
    said = start(EMAIL_URL=url)
    assert "ImproperlyConfigured" in said
    assert "user:pass" not in said.splitlines()[-1]


def test_it_relays_every_second_on_its_own_queues() -> None:
    ours = {
        task.rpartition(".")[2]: (seconds, queue)
        for task, seconds, queue in SCHEDULE.values()
        if task.startswith("aftersales.messaging.")
    }
    assert ours == {
        "relay_fan_out": (1.0, "default"),
        "relay_mail": (1.0, "mail"),
        "relay_sms": (1.0, "default"),
        "relay_webhooks": (1.0, "default"),
        "clean_messages": (3600.0, "default"),
        "tell_managers": (10.0, "default"),
    }


@pytest.mark.django_db(transaction=True)
def test_its_tasks_are_known_to_celery_and_run_on_an_empty_outbox() -> None:
    for name in (
        "relay_fan_out",
        "relay_mail",
        "relay_sms",
        "relay_webhooks",
        "clean_messages",
        "tell_managers",
    ):
        task = getattr(tasks, name)
        assert app.tasks[f"aftersales.messaging.tasks.{name}"].name == task.name
        assert task() == 0


def test_its_lease_outlives_celerys_hard_limit() -> None:
    assert relay.DELIVERY_LEASE.total_seconds() > app.conf.task_time_limit


@pytest.mark.parametrize("both", [{}, {"expand": list, "deliver": print}])
def test_a_topic_either_expands_or_delivers(both: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="either"):
        topics.register("probe.wrong", **both)  # type: ignore[arg-type]
