import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from aftersales.common import errors
from aftersales.messaging import links
from aftersales.messaging.models import Link
from tests.messaging.rows import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def issue(purpose: str = "follow_up", subject: str = "ticket:17") -> str:
    return links.issue(purpose, subject, expires_at=NOW + DAY, now=NOW)


def opens(token: str, purpose: str = "follow_up", now: Any = NOW) -> bool:
    try:
        return links.resolve(token, purpose, now) == "ticket:17"
    except errors.NotVisible:
        return False


def test_it_opens_its_subject_until_it_expires() -> None:
    token = issue()
    assert links.resolve(token, "follow_up", NOW) == "ticket:17"
    assert opens(token, now=NOW + DAY - timedelta(seconds=1))
    assert not opens(token, now=NOW + DAY)


def test_it_gives_the_same_token_again() -> None:
    token = issue()
    assert links.token_of(Link.objects.get().id) == token


def test_it_is_made_of_letters_and_digits_with_128_bits_of_secret() -> None:
    assert re.fullmatch(r"[0-9a-z]+", issue())
    assert len(issue()) >= 27


def test_it_stores_nothing_that_opens_anything() -> None:
    token = issue()
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(messaging_link)::text FROM messaging_link")
        assert token[-26:] not in cursor.fetchone()[0]


def test_it_refuses_every_changed_character() -> None:
    token = issue()
    for place, character in enumerate(token):
        other = "3" if character != "3" else "4"
        assert not opens(token[:place] + other + token[place + 1 :]), place


@pytest.mark.parametrize(
    "token", ["", "1", "zzzzzzzzzzzzzzzz", "../x", "1" * 5000, "ß" * 27, "0" + "a" * 26, "１" * 27]
)
def test_it_refuses_what_is_no_token(token: str) -> None:
    assert not opens(token)


def test_it_refuses_another_links_secret() -> None:
    one, other = issue(), issue(subject="ticket:18")
    assert not opens(one[:-26] + other[-26:])


def test_it_opens_for_its_own_purpose_only() -> None:
    token = issue(purpose="survey")
    assert opens(token, "survey")
    assert not opens(token, "follow_up")


def test_it_seals_the_purpose_into_the_token() -> None:
    token = issue()
    Link.objects.update(purpose="survey")
    assert not opens(token, "survey")


def test_it_ends_when_it_is_revoked() -> None:
    token, other = issue(), issue()
    assert links.revoke(Link.objects.earliest("id").id, now=NOW) is True
    assert links.revoke(Link.objects.earliest("id").id, now=NOW) is False
    assert not opens(token)
    assert opens(other)


def test_it_revokes_all_links_of_a_subject() -> None:
    tokens = [issue(), issue(), issue(subject="ticket:18")]
    assert links.revoke_all("follow_up", "ticket:17", now=NOW) == 2
    assert not any(map(opens, tokens[:2]))
    assert links.resolve(tokens[2], "follow_up", NOW) == "ticket:18"


def test_it_answers_the_same_for_forged_expired_and_revoked() -> None:
    expired, revoked = issue(), issue()
    links.revoke(Link.objects.latest("id").id, now=NOW)
    answers = set()
    for token, now in [(expired, NOW + DAY), (revoked, NOW), ("1" + "a" * 26, NOW), ("", NOW)]:
        with pytest.raises(errors.NotVisible) as caught:
            links.resolve(token, "follow_up", now)
        answers.add((caught.value.code, str(caught.value.detail), caught.value.status))
    assert len(answers) == 1


def test_it_keeps_old_links_working_while_their_key_is_there(settings: Settings) -> None:
    token = issue()
    old = settings.LINK_KEYS
    settings.LINK_KEYS = {"n1": b"n" * 32, **old}
    fresh = issue()
    assert opens(token)
    assert opens(fresh)
    settings.LINK_KEYS = {"n1": b"n" * 32}
    assert not opens(token)
    assert opens(fresh)
    with pytest.raises(errors.NotVisible):
        links.token_of(Link.objects.earliest("id").id)


def test_it_refuses_a_link_that_ends_before_it_begins() -> None:
    with pytest.raises(ValueError, match="ends after"):
        links.issue("follow_up", "ticket:1", expires_at=NOW, now=NOW)


def reused(now: Any = NOW) -> int:
    return links.reuse("follow_up", "ticket:17", lives=90 * DAY, now=now).id


def test_it_gives_the_same_link_while_a_third_of_its_life_is_left() -> None:
    first = reused()
    assert reused(NOW + 59 * DAY) == first
    assert reused(NOW + 60 * DAY) != first


def test_it_gives_a_new_link_where_the_old_one_opens_nothing(settings: Settings) -> None:
    first = reused()
    links.revoke(first, now=NOW)
    second = reused()
    assert second != first
    settings.LINK_KEYS = {"fresh": b"x" * 32}
    assert reused() not in (first, second)


def test_it_never_gives_the_link_of_another_subject_or_purpose() -> None:
    first = reused()
    assert links.reuse("follow_up", "ticket:18", lives=90 * DAY, now=NOW).id != first
    assert links.reuse("survey", "ticket:17", lives=90 * DAY, now=NOW).id != first
