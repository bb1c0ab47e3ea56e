"""Killed processes, two relays at once, a server that is away: nothing lost, nothing twice.

Children are forked from a process that has done its set-up, and killed without warning.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from aftersales.common import dbtime
from aftersales.messaging import outbox, relay, topics, webhook_relay
from aftersales.messaging.drafts import Draft, MailDraft, NoticeDraft, UserRef
from aftersales.messaging.models import Notice, Outbox, WebhookEndpoint
from tests.factories import make_user
from tests.messaging.conftest import Register
from tests.messaging.rows import make_call, make_contact, make_endpoint, make_mail
from tests.messaging.stubs import MailServer, Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


@pytest.fixture(autouse=True)
def _short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "EXPANSION_LEASE", timedelta(seconds=0.3))
    monkeypatch.setattr(relay, "DELIVERY_LEASE", timedelta(seconds=2))
    monkeypatch.setattr(relay, "SCHEDULE", [timedelta(0)] * 40)


def child(work: Callable[[], object]) -> int:
    """Runs ``work`` for ever in a process of its own, with database connections of its own."""
    connections.close_all()
    pid = os.fork()
    if pid:
        return pid
    try:
        while True:
            work()
            time.sleep(0.01)
    finally:
        os._exit(1)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.fixture
def chaos() -> Iterator[Callable[..., int]]:
    """Keeps two children at ``work`` until nothing is ``left``, killing one every now and then."""
    alive: list[int] = []

    def run(work: Callable[[], object], left: Callable[[], int], *, every: float) -> int:
        kills, end, chance = 0, time.monotonic() + 100, random.Random(7)
        alive.extend([child(work), child(work)])
        before = left()
        while before:
            assert time.monotonic() < end, "the work came to a stand-still"
            time.sleep(chance.uniform(0.2, 1) * every)
            # Only while work goes on: a kill that meets nobody at work proves nothing.
            if (now := left()) < before:
                kill(alive.pop(0))
                kills += 1
                alive.append(child(work))
            before = now
        return kills

    yield run
    for pid in alive:
        kill(pid)


def pending() -> int:
    return Outbox.objects.pending().count()


def test_it_expands_exactly_once_though_processes_are_killed(
    chaos: Callable[..., int], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 10)
    user = make_user()

    def expand(payload: Mapping[str, Any]) -> list[Draft]:
        time.sleep(0.001)
        n = payload["n"]
        return [
            NoticeDraft(user.id, "probe", {"n": n}),
            MailDraft(UserRef(user.id), "probe/hello", {"n": n}),
        ]

    register("event", expand=expand)
    for n in range(1500):
        outbox.write("event", f"event:{n}", {"n": n})

    def left() -> int:
        return Outbox.objects.pending().filter(topic="event").count()

    kills = chaos(relay.relay_fan_out, left, every=0.15)
    assert kills >= 5
    assert Counter(Notice.objects.values_list("params__n", flat=True)) == dict.fromkeys(
        range(1500), 1
    )
    mails = Outbox.objects.filter(topic="mail").values_list("payload__params__n", flat=True)
    assert Counter(mails) == dict.fromkeys(range(1500), 1)
    assert not Outbox.objects.dead().exists()


def test_it_delivers_all_mails_with_one_duplicate_a_kill_at_most(
    chaos: Callable[..., int], mail_template: str, mail_server: MailServer
) -> None:
    contact = make_contact()
    topics.register_template("probe/hello", context=dict)
    rows = [make_mail(contact, f"k{n}") for n in range(300)]
    Outbox.objects.update(recipient=f"user:{make_user().id}")
    mail_server.before_answer = lambda: time.sleep(0.002)
    kills = chaos(lambda: relay.relay_deliveries("mail"), pending, every=0.2)
    assert kills >= 5
    counts = Counter(mail_server.message_ids())
    assert set(counts) == {f"<{row.message_id}@example.com>" for row in rows}
    assert sum(counts.values()) - len(rows) <= kills


def test_it_delivers_all_webhooks_with_one_duplicate_a_kill_at_most(
    chaos: Callable[..., int], receiver: Receiver
) -> None:
    endpoints = [make_endpoint(receiver.url + "/200") for _ in range(4)]
    rows = [make_call(endpoint, f"{endpoint.id}:{n}") for endpoint in endpoints for n in range(60)]
    kills = chaos(webhook_relay.relay_webhooks, pending, every=0.4)
    assert kills >= 3
    counts = Counter(receiver.ids())
    assert set(counts) == {f"msg_{row.message_id}" for row in rows}
    assert sum(counts.values()) - len(rows) <= kills
    assert not WebhookEndpoint.objects.filter(is_active=False).exists()


def test_it_isolates_a_row_that_kills_its_process(
    chaos: Callable[..., int], register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "SCHEDULE", [timedelta(0)] * 4)
    user = make_user()

    def expand(payload: Mapping[str, Any]) -> list[Draft]:
        if payload["n"] == 50:
            os._exit(9)
        return [NoticeDraft(user.id, "probe", {"n": payload["n"]})]

    register("event", expand=expand)
    for n in range(100):
        outbox.write("event", f"event:{n}", {"n": n})

    def once() -> None:
        connections.close_all()
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            return
        try:
            relay.relay_fan_out()
        finally:
            os._exit(0)

    end = time.monotonic() + 30
    while pending():
        assert time.monotonic() < end
        once()
        time.sleep(0.1)
    assert Notice.objects.filter(event_key="probe").count() == 99
    (dead,) = Outbox.objects.dead()
    assert (dead.dedupe_key, dead.last_error) == ("event:50", "ProcessLost")


def test_it_delivers_once_each_after_the_mail_server_was_away(
    mail_template: str, mail_server: MailServer, receiver: Receiver, settings: Settings
) -> None:
    settings.EMAIL_TIMEOUT = 0.2
    topics.register_template("probe/hello", context=dict)
    contact = make_contact()
    rows = [make_mail(contact, f"k{n}") for n in range(20)]
    make_call(make_endpoint(receiver.url + "/200"))
    for mood in ("drop", "hang", "451"):
        mail_server.mood = mood
        relay.relay_deliveries("mail", seconds=0.3)
    assert mail_server.messages == []
    # The other topic does not notice.
    assert webhook_relay.relay_webhooks() == 1
    mail_server.mood = "ok"
    with dbtime.at(dbtime.database_now() + timedelta(hours=1)):
        relay.relay_deliveries("mail")
    assert Counter(mail_server.message_ids()) == {
        f"<{row.message_id}@example.com>": 1 for row in rows
    }


def test_it_sends_each_mail_once_though_two_relays_run(
    mail_template: str, mail_server: MailServer
) -> None:
    topics.register_template("probe/hello", context=dict)
    contact = make_contact()
    for n in range(25):
        make_mail(contact, f"k{n}")
    mail_server.before_answer = lambda: time.sleep(0.005)
    pids = [child(lambda: relay.relay_deliveries("mail")) for _ in range(3)]
    end = time.monotonic() + 20
    while pending():
        assert time.monotonic() < end
        time.sleep(0.05)
    for pid in pids:
        kill(pid)
    assert len(mail_server.message_ids()) == len(set(mail_server.message_ids())) == 25
    assert mail_server.connections >= 3
