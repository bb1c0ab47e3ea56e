from datetime import timedelta

import pytest
from django.db import OperationalError, transaction

from aftersales.common import dbtime
from aftersales.messaging import limits, outbox, relay
from aftersales.messaging.drafts import ContactRef, Draft, MailDraft, UserRef
from aftersales.messaging.models import Outbox
from tests.messaging.conftest import Register
from tests.messaging.races import at_once, held_elsewhere
from tests.messaging.rows import NOW, make_contact

pytestmark = pytest.mark.django_db


def mail(contact_id: int, key: str, **changes: object) -> None:
    row = outbox.write("mail", key, {}, now=NOW, recipient=f"contact:{contact_id}")
    Outbox.objects.filter(id=row.id).update(**changes)


def test_it_counts_what_was_sent_within_the_hour_or_waits() -> None:
    one, same, other = make_contact(), make_contact(), make_contact(email="x@example.com")
    mail(one.id, "waits")
    mail(same.id, "sent", sent_at=NOW - timedelta(minutes=59))
    mail(one.id, "old", sent_at=NOW - timedelta(minutes=60))
    mail(other.id, "other")
    assert limits.messages_within_hour(one.id, "mail", now=NOW) == 2
    assert limits.messages_within_hour(one.id, "sms", now=NOW) == 0


def test_it_knows_a_contact_without_address_by_itself_only() -> None:
    one, other = make_contact(email=None), make_contact(email=None)
    assert limits.contacts_at(one.id, "mail") == [f"contact:{one.id}"]
    assert limits.contacts_at(other.id, "sms") == [f"contact:{one.id}", f"contact:{other.id}"]


def test_it_lets_three_automatic_mails_an_hour_through_to_one_address(register: Register) -> None:
    contacts = [make_contact() for _ in range(5)]
    register(
        "event",
        expand=lambda payload: [
            MailDraft(ContactRef(contacts[payload["n"] % 5].id), "a/receipt", {}, at_most=3),
            MailDraft(UserRef(1), "a/new_case", {}),
        ],
    )
    with dbtime.at(NOW):
        for n in range(50):
            outbox.write("event", f"event:{n}", {"n": n})
        relay.relay_fan_out()
        outbox.write("event", "event:50", {"n": 50})
        relay.relay_fan_out()
    assert Outbox.objects.filter(topic="mail", payload__template="a/receipt").count() == 3
    assert Outbox.objects.filter(topic="mail", payload__template="a/new_case").count() == 51
    Outbox.objects.filter(topic="mail").update(sent_at=NOW)
    with dbtime.at(NOW + timedelta(minutes=61)):
        outbox.write("event", "event:51", {"n": 51})
        relay.relay_fan_out()
    assert Outbox.objects.filter(topic="mail", payload__template="a/receipt").count() == 4


def test_it_does_not_count_what_staff_wrote(register: Register) -> None:
    contact = make_contact()
    register(
        "event", expand=lambda payload: [MailDraft(ContactRef(contact.id), "a/r", {}, at_most=3)]
    )
    for n in range(9):
        outbox.write("mail", f"reply:{n}", {}, recipient=f"contact:{contact.id}")
    outbox.write("event", "event", {})
    relay.relay_fan_out()
    assert Outbox.objects.filter(payload__template="a/r").count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_waits_for_whoever_counts_for_the_same_address() -> None:
    contact = make_contact()
    event = outbox.write("event", "event", {})
    wanted: list[tuple[Outbox, Draft]] = [
        (event, MailDraft(ContactRef(contact.id), "a/r", {}, at_most=3))
    ]
    with (
        held_elsewhere(lambda: limits.lock_address(contact.id, "mail")),
        pytest.raises(OperationalError, match="lock timeout"),
    ):
        limits.admit(wanted, now=NOW)
    with transaction.atomic():
        assert limits.admit(wanted, now=NOW) == wanted


@pytest.mark.django_db(transaction=True)
def test_it_counts_expansions_at_once_one_after_the_other(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 5)
    contact = make_contact()
    register(
        "event", expand=lambda payload: [MailDraft(ContactRef(contact.id), "a/r", {}, at_most=3)]
    )
    for n in range(40):
        outbox.write("event", f"event:{n}", {})
    at_once(4, relay.relay_fan_out)
    assert Outbox.objects.filter(topic="mail").count() == 3
    assert not Outbox.objects.pending().filter(topic="event").exists()
