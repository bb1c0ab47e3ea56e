import threading
from datetime import timedelta

import pytest
from django.db import connection

from aftersales.accounts.models import Role
from aftersales.common import dbtime
from aftersales.messaging import dead_letters, relay, topics, webhook_relay, webhooks
from aftersales.messaging.models import Notice, Outbox, WebhookEndpoint
from tests.factories import make_user, staff_actor
from tests.messaging.rows import NOW, make_call, make_endpoint
from tests.messaging.stubs import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

send = webhook_relay.relay_webhooks


def test_it_calls_each_endpoint_and_marks_the_rows(receiver: Receiver) -> None:
    endpoints = [make_endpoint(receiver.url + "/200") for _ in range(3)]
    rows = [make_call(endpoint, f"{endpoint.id}:{n}") for endpoint in endpoints for n in range(2)]
    assert send() == 6
    assert sorted(receiver.ids()) == sorted(f"msg_{row.message_id}" for row in rows)
    assert not Outbox.objects.pending().exists()
    assert not WebhookEndpoint.objects.filter(busy_until__isnull=False).exists()


def test_it_tries_again_with_the_same_id(receiver: Receiver) -> None:
    make_call(make_endpoint(receiver.url))
    receiver.mood = "500"
    send()
    row = Outbox.objects.get()
    assert (row.attempts, row.last_error) == (1, "HTTP 500")
    receiver.mood = "200"
    with dbtime.at(row.available_at - timedelta(seconds=1)):
        assert send() == 0
    with dbtime.at(row.available_at):
        assert send() == 1
    assert len(set(receiver.ids())) == 1
    assert len(receiver.ids()) == 2


@pytest.mark.parametrize(("asked", "seconds"), [("600", 600), ("1", 4)])
def test_it_waits_as_long_as_it_was_asked_to(receiver: Receiver, asked: str, seconds: int) -> None:
    make_call(make_endpoint(receiver.url + "/429"))
    receiver.answer_headers = {"Retry-After": asked}
    with dbtime.at(NOW):
        Outbox.objects.update(available_at=NOW)
        send()
    assert Outbox.objects.get().available_at >= NOW + timedelta(seconds=seconds)


def test_it_waits_a_day_at_most(receiver: Receiver) -> None:
    make_call(make_endpoint(receiver.url + "/503"))
    receiver.answer_headers = {"Retry-After": "999999"}
    with dbtime.at(NOW):
        Outbox.objects.update(available_at=NOW)
        send()
    assert Outbox.objects.get().available_at == NOW + timedelta(days=1)


def test_it_switches_an_endpoint_off_that_is_gone(receiver: Receiver) -> None:
    chief = make_user(Role.ADMINISTRATOR)
    endpoint = make_endpoint(receiver.url + "/410")
    for key in ("a", "b", "c"):
        make_call(endpoint, key)
    assert send() == 3
    endpoint.refresh_from_db()
    assert (endpoint.is_active, endpoint.disabled_reason) == (False, "HTTP 410")
    assert len(receiver.calls) == 1
    assert sorted(Outbox.objects.values_list("last_error", flat=True)) == [
        "EndpointDisabled",
        "EndpointDisabled",
        "HTTP 410",
    ]
    keys = Notice.objects.filter(user=chief).values_list("event_key", flat=True)
    assert sorted(keys) == ["messaging.dead_letter", "messaging.endpoint_disabled"]


def test_it_sends_a_dead_call_again_once_the_endpoint_is_back(receiver: Receiver) -> None:
    endpoint = make_endpoint(receiver.url + "/200", is_active=False)
    row = make_call(endpoint)
    send()
    WebhookEndpoint.objects.update(is_active=True)
    dead_letters.replay(row.id, by=staff_actor(Role.ADMINISTRATOR))
    assert send() == 1
    assert receiver.ids() == [f"msg_{row.message_id}"]


def test_it_lets_a_hanging_endpoint_delay_nobody(receiver: Receiver) -> None:
    stuck = make_endpoint(receiver.url + "/hang")
    for n in range(3):
        make_call(stuck, f"stuck:{n}")
    for endpoint in [make_endpoint(receiver.url + "/200") for _ in range(9)]:
        for n in range(3):
            make_call(endpoint, f"{endpoint.id}:{n}")
    # The hanging call is let go when all the others have arrived; had they to wait for it, it
    # would have timed out before.
    receiver.after_calls = (28, receiver.released.set)
    assert send() == 30
    assert [path for path, *_ in receiver.calls].count("/200") == 27
    assert set(Outbox.objects.exclude(last_error="").values_list("last_error", flat=True)) == {
        "RemoteDisconnected"
    }


def test_it_talks_to_one_endpoint_one_call_at_a_time(receiver: Receiver) -> None:
    endpoint = make_endpoint(receiver.url + "/200")
    make_call(endpoint, "a")
    make_call(endpoint, "b")
    assert webhook_relay.claim_webhook() is not None
    assert webhook_relay.claim_webhook() is None


def test_it_takes_the_endpoint_up_again_when_its_holder_died(receiver: Receiver) -> None:
    make_call(make_endpoint(receiver.url + "/200"))
    assert webhook_relay.claim_webhook() is not None
    assert send() == 0
    with dbtime.at(dbtime.database_now() + relay.DELIVERY_LEASE):
        assert send() == 1


def test_it_gives_up_a_call_that_kills_every_process(receiver: Receiver) -> None:
    make_call(make_endpoint(receiver.url + "/200"))
    moment = dbtime.database_now()
    for _ in range(11):
        with dbtime.at(moment):
            webhook_relay.claim_webhook()
        moment += relay.DELIVERY_LEASE
    assert Outbox.objects.get().last_error == "ProcessLost"
    assert receiver.calls == []


def test_it_drains_in_one_process_at_a_time(receiver: Receiver) -> None:
    make_call(make_endpoint(receiver.url + "/200"))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with webhook_relay._single() as alone:
            assert alone
            held.set()
            release.wait(10)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    held.wait(10)
    assert send() == 0
    release.set()
    other.join()
    assert send() == 1


def test_it_survives_a_fault_in_our_own_code(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*args: object, **kwargs: object) -> None:
        raise LookupError("ming@example.com")

    endpoint = make_endpoint(receiver.url + "/200")
    make_call(endpoint, "a")
    with monkeypatch.context() as patch:
        patch.setattr(webhooks, "send", explode)
        send()
    Outbox.objects.update(available_at=NOW)
    with monkeypatch.context() as patch:
        patch.setattr(webhooks, "prepare", explode)
        send()
    row = Outbox.objects.get()
    assert (row.attempts, row.last_error) == (2, "LookupError")
    Outbox.objects.update(available_at=NOW)
    assert send() == 1


def test_it_refuses_an_inner_address_for_good(receiver: Receiver, settings: object) -> None:
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = False  # type: ignore[attr-defined]
    make_call(make_endpoint(receiver.url.replace("http", "https")))
    send()
    row = Outbox.objects.get()
    assert (row.last_error, row.dead_at is not None) == ("ForbiddenAddress", True)
    assert receiver.calls == []
    assert issubclass(topics.Refused, topics.Outcome)
