from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aftersales.accounts.models import Role
from aftersales.common import dbtime
from aftersales.messaging import outbox, relay, topics
from aftersales.messaging.drafts import (
    ContactRef,
    Draft,
    MailDraft,
    NoticeDraft,
    SmsDraft,
    UserRef,
    WebhookDraft,
)
from aftersales.messaging.models import Notice, Outbox
from tests.factories import make_user
from tests.messaging.conftest import Register
from tests.messaging.races import held_elsewhere
from tests.messaging.rows import NOW

pytestmark = pytest.mark.django_db


def two_mails(payload: Mapping[str, Any]) -> list[Draft]:
    return [
        MailDraft(UserRef(1), "a/received", {"ticket": payload["n"]}, link_id=7),
        MailDraft(ContactRef(2), "a/received", {"ticket": payload["n"]}),
    ]


def events(count: int, start: int = 0) -> None:
    for n in range(start, start + count):
        outbox.write("event", f"event:{n}", {"n": n})


def test_it_turns_each_event_into_its_messages_once(register: Register) -> None:
    register("event", expand=two_mails)
    events(3)
    assert relay.relay_fan_out() == 3
    assert relay.relay_fan_out() == 0
    mails = Outbox.objects.filter(topic="mail").order_by("id")
    assert [mail.recipient for mail in mails] == ["user:1", "contact:2"] * 3
    assert mails[0].payload == {"template": "a/received", "params": {"ticket": 0}, "link": 7}
    assert not Outbox.objects.filter(topic="event", sent_at__isnull=True).exists()


def test_it_writes_short_messages_and_webhooks_too(register: Register) -> None:
    register(
        "event",
        expand=lambda payload: [
            SmsDraft(ContactRef(2), "a/received", {"ticket": 1}, key="again"),
            SmsDraft(ContactRef(2), "a/received", {"ticket": 1}),
            WebhookDraft(3, "ticket.resolved", {"id": "x"}, at=NOW),
        ],
    )
    events(1)
    relay.relay_fan_out()
    rows = Outbox.objects.exclude(topic="event").order_by("id")
    assert [(row.topic, row.recipient) for row in rows] == [
        ("sms", "contact:2"),
        ("sms", "contact:2"),
        ("webhook", "endpoint:3"),
    ]
    assert rows[2].payload == {
        "type": "ticket.resolved",
        "at": NOW.isoformat(),
        "data": {"id": "x"},
    }


def test_it_writes_one_notice_a_person_though_she_is_named_twice(register: Register) -> None:
    user = make_user()
    draft = NoticeDraft(user.id, "ticket.assigned", {"number": "GZ1"}, "/tickets/1/")
    register("event", expand=lambda payload: [draft, draft])
    events(2)
    relay.relay_fan_out()
    assert Notice.objects.filter(user=user, url="/tickets/1/").count() == 2


def test_it_sends_one_mail_to_who_is_owner_and_supervisor(register: Register) -> None:
    draft = MailDraft(UserRef(1), "a/overdue", {"ticket": 1})
    register("event", expand=lambda payload: [draft, draft])
    events(1)
    relay.relay_fan_out()
    assert Outbox.objects.filter(topic="mail").count() == 1


def test_it_isolates_the_row_whose_expansion_fails(register: Register) -> None:
    def expand(payload: Mapping[str, Any]) -> list[Draft]:
        if payload["n"] == 5:
            raise ZeroDivisionError("ming@example.com")
        return two_mails(payload)

    register("event", expand=expand)
    events(10)
    assert relay.relay_fan_out() == 10
    assert Outbox.objects.filter(topic="mail").count() == 18
    bad = Outbox.objects.get(dedupe_key="event:5")
    assert (bad.attempts, bad.last_error, bad.sent_at) == (1, "ZeroDivisionError", None)
    assert timedelta(seconds=3) < bad.available_at - dbtime.database_now() < timedelta(seconds=7)


def test_it_refuses_drafts_with_personal_text_and_keeps_the_others(register: Register) -> None:
    def expand(payload: Mapping[str, Any]) -> list[Draft]:
        name = "王小明" if payload["n"] == 1 else "GZ1"
        return [MailDraft(UserRef(1), "a/b", {"x": name})]

    register("event", expand=expand)
    events(3)
    relay.relay_fan_out()
    assert Outbox.objects.filter(topic="mail").count() == 2
    assert Outbox.objects.get(dedupe_key="event:1").last_error == "NotAnId"


@pytest.mark.django_db(transaction=True)
def test_it_isolates_the_row_that_fails_at_commit(register: Register) -> None:
    user = make_user()

    def expand(payload: Mapping[str, Any]) -> list[Draft]:
        return [NoticeDraft(user.id if payload["n"] else 10**9, "ticket.assigned")]

    register("event", expand=expand)
    events(3)
    relay.relay_fan_out()
    assert Notice.objects.count() == 2
    assert Outbox.objects.get(dedupe_key="event:0").last_error == "IntegrityError"


@pytest.mark.django_db(transaction=True)
def test_it_leaves_no_message_of_a_row_that_fails_at_commit(register: Register) -> None:
    """Else its next try would find the messages there and the notices not."""
    user = make_user()

    def expand(payload: Mapping[str, Any]) -> list[Draft]:
        mail = MailDraft(UserRef(user.id), "probe/hello", {"n": payload["n"]})
        return [mail, NoticeDraft(10**9, "ticket.assigned")]

    register("event", expand=expand)
    events(1)
    relay.relay_fan_out()
    assert not Outbox.objects.filter(topic="mail").exists()


def test_it_gives_up_after_ten_tries_and_tells_the_administrators_once(register: Register) -> None:
    chief, other = make_user(Role.ADMINISTRATOR), make_user(Role.AGENT)
    register("event", expand=lambda payload: [1 // 0])
    with dbtime.at(NOW):
        events(2)
    moment, waits = NOW, []
    for _ in range(10):
        with dbtime.at(moment):
            assert relay.relay_fan_out() == 2
            assert relay.relay_fan_out() == 0
        row = Outbox.objects.get(dedupe_key="event:0")
        waits.append(row.available_at - moment)
        moment = max(Outbox.objects.values_list("available_at", flat=True))
    for wait, planned in zip(waits, relay.SCHEDULE[1:], strict=False):
        assert planned * 0.8 <= wait <= planned * 1.2
    assert Outbox.objects.dead().count() == 2
    assert Notice.objects.filter(user=chief, event_key="messaging.dead_letter").count() == 1
    assert not Notice.objects.filter(user=other).exists()


def test_it_takes_a_row_that_was_tried_before_alone() -> None:
    events(5)
    Outbox.objects.filter(dedupe_key="event:2").update(attempts=1)
    sizes = []
    while rows := relay.claim("event", limit=100, lease=timedelta(minutes=1)):
        sizes.append((len(rows), rows[0].dedupe_key))
    assert sizes == [(4, "event:0"), (1, "event:2")]


def test_it_gives_up_a_row_that_kills_every_process_it_meets() -> None:
    events(2)
    for _ in range(25):
        # Claimed, and never heard of again.
        relay.claim("event", limit=100, lease=timedelta(0))
    assert list(Outbox.objects.values_list("last_error", flat=True)) == ["ProcessLost"] * 2
    assert Outbox.objects.dead().count() == 2


def test_it_leaves_a_row_alone_that_another_expanded_meanwhile(register: Register) -> None:
    user = make_user()

    def expand(payload: Mapping[str, Any]) -> list[Draft]:
        return [NoticeDraft(user.id, "probe")]

    register("event", expand=expand)
    events(1)
    rows = relay.claim("event", limit=100, lease=timedelta(0))
    relay.relay_fan_out()
    relay._expand_rows(expand, rows)
    relay.fail(rows[0], topics.TryLater("late"))
    assert Notice.objects.count() == 1
    assert Outbox.objects.get(topic="event").last_error == ""


@pytest.mark.django_db(transaction=True)
def test_it_passes_by_the_rows_that_another_relay_is_claiming() -> None:
    events(2)
    first = Outbox.objects.filter(dedupe_key="event:0")
    with held_elsewhere(lambda: list(first.select_for_update())):
        rows = relay.claim("event", limit=100, lease=timedelta(minutes=1))
    assert [row.dedupe_key for row in rows] == ["event:1"]


def test_it_lets_no_topic_starve(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(relay, "BATCH", 2)

    def note(payload: Mapping[str, Any]) -> list[Draft]:
        order.append("other" if "o" in payload else "event")
        return []

    register("event", expand=note)
    register("other", expand=note)
    events(6)
    outbox.write("other", "o", {"o": 1})
    relay.relay_fan_out()
    assert order.index("other") <= 3


def test_it_asks_the_database_as_often_for_100_rows_as_for_10(register: Register) -> None:
    register("event", expand=two_mails)
    counts = []
    for start, count in ((0, 10), (100, 100)):
        events(count, start)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            relay.relay_fan_out()
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 24


def test_it_stops_when_its_time_is_up(register: Register) -> None:
    register("event", expand=two_mails)
    events(1)
    assert relay.relay_fan_out(seconds=0) == 0


def test_it_lets_one_row_wait_without_a_try_and_expands_its_neighbours(register: Register) -> None:
    later = NOW + timedelta(hours=9)

    def expand(payload: Mapping[str, Any]) -> list[Draft]:
        if payload["n"] == 1 and dbtime.database_now() < later:
            raise topics.Postponed("QuietHours", until=later)
        return two_mails(payload)

    register("event", expand=expand)
    with dbtime.at(NOW):
        events(3)
        relay.relay_fan_out()
        assert Outbox.objects.filter(topic="mail").count() == 4
        waiting = Outbox.objects.get(dedupe_key="event:1")
        assert (waiting.available_at, waiting.attempts, waiting.sent_at) == (later, 0, None)
    with dbtime.at(later):
        assert relay.relay_fan_out() == 1
    assert Outbox.objects.filter(topic="mail").count() == 6
