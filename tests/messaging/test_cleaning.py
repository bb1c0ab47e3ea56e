from datetime import timedelta

import pytest

from aftersales.common import dbtime
from aftersales.messaging import cleaning, outbox
from aftersales.messaging.models import Code, Link, Notice, Outbox
from tests.factories import make_user
from tests.messaging.rows import NOW

pytestmark = pytest.mark.django_db


def clean() -> int:
    with dbtime.at(NOW):
        return cleaning.clean_messages()


def row(key: str, created_days: int, **changes: object) -> None:
    made = outbox.write("mail", key, {}, now=NOW - timedelta(days=created_days))
    Outbox.objects.filter(id=made.id).update(**changes)


def test_it_removes_what_was_sent_over_thirty_days_ago() -> None:
    days = timedelta(days=1)
    row("dead", 90, dead_at=NOW - 80 * days)
    row("waits", 60)
    row("old", 40, sent_at=NOW - 30 * days - timedelta(seconds=1))
    row("late", 40, sent_at=NOW - 30 * days)
    row("young", 1, sent_at=NOW)
    assert clean() == 1
    kept = Outbox.objects.order_by("id").values_list("dedupe_key", flat=True)
    assert list(kept) == ["dead", "waits", "late", "young"]


def test_it_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "STEP", 3)
    monkeypatch.setattr(cleaning, "STEPS", 2)
    for n in range(10):
        row(str(n), 50, sent_at=NOW - timedelta(days=40))
    assert [clean(), clean(), clean()] == [6, 4, 0]


def test_it_removes_read_notices_ended_links_and_past_codes() -> None:
    user = make_user()
    long_ago, recent = NOW - timedelta(days=100), NOW - timedelta(hours=1)
    for created_at, read_at in [(long_ago, long_ago), (long_ago, None), (recent, recent)]:
        Notice.objects.create(user=user, event_key="x", created_at=created_at, read_at=read_at)
    for moment in (long_ago, recent):
        Link.objects.create(purpose="a", subject="b", key_id="l1", expires_at=moment)
        Code.objects.create(
            purpose="a", subject="b", holder="c", key_id="l1", created_at=moment, expires_at=NOW
        )
    assert clean() == 3
    assert (Notice.objects.count(), Link.objects.count(), Code.objects.count()) == (2, 1, 1)
