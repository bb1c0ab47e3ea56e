import threading
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from aftersales.common import dbtime, errors
from aftersales.messaging import codes, relay
from aftersales.messaging.models import Code, Outbox
from tests.messaging.races import at_once
from tests.messaging.rows import NOW, make_contact

pytestmark = pytest.mark.django_db


def issue(
    subject: str = "contact:1",
    *,
    contact_id: int | None = None,
    channel: codes.Channel = "sms",
    now: datetime = NOW,
) -> str:
    to = contact_id or make_contact(phone=None, email=None).id
    return codes.digits(codes.issue("sign_in", subject, contact_id=to, channel=channel, now=now))


def redeemed(entered: str, *, subject: str = "contact:1", now: Any = NOW) -> bool:
    try:
        codes.redeem("sign_in", subject, entered, now=now)
    except errors.Invalid:
        return False
    return True


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def test_it_is_good_once() -> None:
    code = issue()
    assert redeemed(code)
    assert not redeemed(code)


def test_it_is_good_for_ten_minutes() -> None:
    code = issue()
    assert not redeemed(code, now=NOW + timedelta(minutes=10))
    assert redeemed(code, now=NOW + timedelta(minutes=10, seconds=-1))


def test_it_fails_on_the_sixth_try_though_right() -> None:
    code = issue()
    for _ in range(4):
        assert not redeemed(wrong(code))
    other = issue("contact:2")
    for _ in range(5):
        assert not redeemed(wrong(other), subject="contact:2")
    assert redeemed(code)
    assert not redeemed(other, subject="contact:2")


def test_it_is_bound_to_its_subject_and_purpose() -> None:
    code = issue()
    issue("contact:2")
    assert not redeemed(code, subject="contact:2")
    with pytest.raises(errors.Invalid):
        codes.redeem("other", "contact:1", code, now=NOW)


def test_it_takes_any_of_the_live_codes_and_ends_the_others() -> None:
    first, second = issue(), issue()
    assert redeemed(first)
    assert not redeemed(second)


def test_it_reads_what_an_input_method_makes_of_digits() -> None:
    code = issue()
    assert redeemed(
        f" {code[:3]} {code[3:]}".translate({ord("0") + n: ord("０") + n for n in range(10)})
    )


@pytest.mark.parametrize("entered", ["", "abc", "12345", "ß", "1" * 10_000])
def test_it_refuses_what_is_no_code(entered: str) -> None:
    issue()
    assert not redeemed(entered)


def test_it_counts_the_tries_even_when_the_caller_fails() -> None:
    code = issue()
    for _ in range(5):
        redeemed(wrong(code))
    assert Code.objects.get().tries == 5


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_count_inside_a_transaction_that_may_roll_back() -> None:
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        redeemed("000000")


def test_it_stores_no_code() -> None:
    code = issue()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT row_to_json(c)::text FROM messaging_code c)"
            " || (SELECT row_to_json(o)::text FROM messaging_outbox o)"
        )
        assert code not in cursor.fetchone()[0].replace(".", "")


def test_it_gives_three_an_hour_to_one_address() -> None:
    one, same = make_contact(), make_contact(name="王大明")
    for contact in (one, same, one):
        issue(contact_id=contact.id)
    with pytest.raises(errors.TooMany) as caught:
        issue(contact_id=same.id)
    assert 3590 < caught.value.retry_after <= 3601
    issue(contact_id=make_contact(phone="13900139000").id)
    issue(contact_id=one.id, now=NOW + timedelta(hours=1, seconds=1))


@pytest.mark.django_db(transaction=True)
def test_it_counts_two_requests_at_once_one_after_the_other() -> None:
    contact = make_contact()

    def ask() -> bool:
        try:
            issue(contact_id=contact.id)
        except errors.TooMany:
            return False
        return True

    assert sorted(at_once(6, ask)) == [False] * 3 + [True] * 3


@pytest.mark.django_db(transaction=True)
def test_it_opens_once_though_two_enter_it_at_the_same_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = issue()
    real, together = codes.digits, threading.Barrier(2)

    def meet(row: Code) -> str:
        # Under lock nobody ever comes to meet.
        with suppress(threading.BrokenBarrierError):
            together.wait(0.5)
        return real(row)

    monkeypatch.setattr(codes, "digits", meet)
    assert sorted(at_once(2, lambda: redeemed(code))) == [False, True]


@pytest.mark.django_db(transaction=True)
def test_it_counts_tries_at_once_one_after_the_other() -> None:
    code = issue()
    assert at_once(8, lambda: redeemed(wrong(code))) == [False] * 8
    assert Code.objects.get().tries == 5
    assert not redeemed(code)


@pytest.mark.parametrize(
    ("language", "words"), [("en", "one-time code"), ("zh-hans", "您的验证码")]
)
def test_it_travels_by_short_message(
    language: str, words: str, settings: Settings, tmp_path: Path
) -> None:
    settings.SMS_DIRECTORY = tmp_path
    with dbtime.at(NOW):
        code = issue(contact_id=make_contact(language=language).id)
        assert relay.relay_deliveries("default") == 1
    text = (tmp_path / "sms.jsonl").read_text()
    assert code in text
    assert words in text


def test_it_is_not_sent_any_more_once_it_ended(settings: Settings, tmp_path: Path) -> None:
    settings.SMS_DIRECTORY = tmp_path / "sms"
    issue(contact_id=make_contact().id)
    with dbtime.at(NOW + timedelta(minutes=10)):
        relay.relay_deliveries("default")
    assert Outbox.objects.get().last_error == "CodeEnded"
    assert not (tmp_path / "sms").exists()


def test_it_travels_by_mail(mailoutbox: list[Any]) -> None:
    with dbtime.at(NOW):
        code = issue(contact_id=make_contact().id, channel="mail")
        relay.relay_deliveries("mail")
    assert code in mailoutbox[0].body
    assert code not in mailoutbox[0].subject
