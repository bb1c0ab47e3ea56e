import pytest
from django.utils import translation

from aftersales.accounts.models import Role
from aftersales.messaging import notices
from aftersales.messaging.models import Notice
from tests.factories import make_user
from tests.messaging.rows import NOW

pytestmark = pytest.mark.django_db


def test_it_lists_a_persons_own_notices_newest_first() -> None:
    one, other = make_user(), make_user()
    first = Notice.objects.create(user=one, event_key="a")
    Notice.objects.create(user=other, event_key="b")
    last = Notice.objects.create(user=one, event_key="c")
    assert list(notices.list_for(one)) == [last, first]


def test_it_marks_only_the_readers_own_as_read() -> None:
    one, other = make_user(), make_user()
    mine = [Notice.objects.create(user=one, event_key="a") for _ in range(3)]
    theirs = Notice.objects.create(user=other, event_key="a")
    assert notices.unread_count(one) == 3
    assert notices.mark_read(one, now=NOW, ids=[mine[0].id, theirs.id]) == 1
    assert notices.unread_count(one) == 2
    assert notices.mark_read(one, now=NOW) == 2
    assert notices.mark_read(one, now=NOW) == 0
    assert notices.unread_count(other) == 1


def test_it_tells_every_administrator_once_until_it_is_read() -> None:
    chiefs = [make_user(Role.ADMINISTRATOR), make_user(Role.AGENT, Role.ADMINISTRATOR)]
    make_user(Role.MANAGER)
    make_user(Role.ADMINISTRATOR, is_active=False)
    assert notices.tell_administrators("x", {"topic": "mail"}, now=NOW) == 2
    assert notices.tell_administrators("x", {"topic": "mail"}, now=NOW) == 0
    assert notices.tell_administrators("x", {"topic": "sms"}, now=NOW) == 2
    notices.mark_read(chiefs[0], now=NOW)
    assert notices.tell_administrators("x", {"topic": "mail"}, now=NOW) == 1


def test_it_reads_as_one_line_of_plain_text() -> None:
    notice = Notice(event_key="messaging.dead_letter", params={"topic": "a<b>"})
    with translation.override("en"):
        text = notices.text_of(notice)
    assert "a<b>" in text
    assert "\n" not in text
    assert notices.text_of(Notice(event_key="never.registered")) == "never.registered"
