"""Figures for Prometheus, and who may read them."""

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from aftersales.common import dbtime
from aftersales.health.models import TaskRun
from tests import factories
from tickets.models import Ticket

pytestmark = pytest.mark.django_db


def test_it_shows_what_the_database_says_at_the_moment_of_asking(client: Client) -> None:
    now = dbtime.database_now()
    TaskRun.objects.create(name="some.task", succeeded_at=now)
    Ticket.objects.filter(pk=factories.make_ticket().pk).update(wake_at=now, next_due_at=now)
    text = client.get("/metrics").content.decode()
    assert "aftersales_cases_waiting_for_sweep 1.0" in text
    assert "aftersales_cases_overdue 1.0" in text
    assert "aftersales_messages_given_up 0.0" in text
    assert 'aftersales_check{check="database"} 0.0' in text
    assert 'aftersales_task_last_success_timestamp_seconds{task="some.task"}' in text


def test_it_still_says_what_it_knows_without_the_database(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", refuse)
    text = client.get("/metrics").content.decode()
    assert 'aftersales_check{check="database"} 2.0' in text
    assert "aftersales_cases" not in text


@pytest.mark.parametrize(
    ("address", "headers", "code"),
    [
        ("127.0.0.1", {}, 200),
        ("10.1.2.3", {}, 200),
        ("::1", {}, 200),
        ("8.8.8.8", {}, 403),
        ("", {}, 403),
        # a proxy beside us speaks for somebody else
        ("127.0.0.1", {"X-Forwarded-For": "10.1.2.3"}, 403),
        ("127.0.0.1", {"Forwarded": "for=10.1.2.3"}, 403),
    ],
)
def test_it_shows_figures_to_private_neighbours_only(
    client: Client, address: str, headers: dict[str, str], code: int
) -> None:
    assert client.get("/metrics", REMOTE_ADDR=address, headers=headers).status_code == code


@pytest.mark.parametrize(
    ("header", "code"), [("Bearer right", 200), ("Bearer wrong", 403), ("", 403), ("right", 403)]
)
def test_it_asks_everybody_for_the_token_once_there_is_one(
    client: Client, settings: Any, header: str, code: int
) -> None:
    settings.METRICS_TOKEN = "right"
    answer = client.get("/metrics", REMOTE_ADDR="8.8.8.8", headers={"Authorization": header})
    assert answer.status_code == code
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 403
