import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from django.db import connection
from django.db.utils import IntegrityError
from pytest_django import Settings
from standardwebhooks import Webhook, WebhookVerificationError

from aftersales.accounts.models import Role
from aftersales.common import dbtime
from aftersales.messaging import addresses, posting, topics, webhooks
from aftersales.messaging.models import Notice, WebhookEndpoint
from tests.factories import make_shop, make_user
from tests.messaging.rows import NOW, make_call, make_endpoint

pytestmark = pytest.mark.django_db


def verifies(secret: str, call: webhooks.Call) -> bool:
    """What a receiver does, with the specification's own library."""
    try:
        Webhook(secret).verify(call.body, call.headers)
    except WebhookVerificationError:
        return False
    return True


def test_it_signs_so_that_the_standards_own_library_accepts_it() -> None:
    endpoint = make_endpoint("https://shop.example/")
    call = webhooks.prepare(make_call(endpoint), now=datetime.now(UTC))
    assert verifies(endpoint.secret.clear(), call)
    assert not verifies(webhooks.new_secret(), call)
    assert json.loads(call.body) == {
        "type": "ticket.resolved",
        "timestamp": NOW.isoformat(),
        "data": {"id": "abc"},
    }


def test_it_keeps_id_and_body_and_dates_each_try() -> None:
    row = make_call(make_endpoint("https://shop.example/"))
    one = webhooks.prepare(row, now=NOW)
    two = webhooks.prepare(row, now=NOW + timedelta(hours=1))
    assert one.body == two.body
    assert one.headers["webhook-id"] == two.headers["webhook-id"] == f"msg_{row.message_id}"
    assert one.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert one.headers["webhook-signature"] != two.headers["webhook-signature"]


def test_it_signs_with_both_secrets_for_a_day_after_a_rotation() -> None:
    endpoint = make_endpoint("https://shop.example/")
    old = endpoint.secret.clear()
    now = datetime.now(UTC)
    new = webhooks.rotate_secret(endpoint.id, now=now - timedelta(hours=23))
    row = make_call(endpoint)
    call = webhooks.prepare(row, now=now)
    assert len(call.headers["webhook-signature"].split()) == 2
    assert verifies(old, call)
    assert verifies(new, call)
    later = webhooks.prepare(row, now=now + timedelta(hours=1))
    assert len(later.headers["webhook-signature"].split()) == 1


def test_it_stores_no_secret_in_clear() -> None:
    endpoint = make_endpoint("https://shop.example/")
    webhooks.rotate_secret(endpoint.id, now=NOW)
    endpoint.refresh_from_db()
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, old_secret FROM messaging_webhookendpoint")
        blobs = [bytes(blob) for blob in cursor.fetchone()]
    for sealed, blob in zip((endpoint.secret, endpoint.old_secret), blobs, strict=True):
        assert sealed.clear().encode() not in blob
        assert sealed.clear().startswith("whsec_")


def test_it_offers_drafts_to_the_shops_own_and_the_firms_endpoints_that_asked() -> None:
    shop, other = make_shop(), make_shop()
    url = "https://shop.example/"
    wanted = [
        make_endpoint(url, shop=shop),
        make_endpoint(url, shop=shop, events=["ticket.resolved"]),
        make_endpoint(url, shop=shop, events=["return.*", "ticket.*"]),
        make_endpoint(url),
    ]
    make_endpoint(url, shop=shop, events=["ticket.opened"])
    make_endpoint(url, shop=shop, is_active=False)
    make_endpoint(url, shop=other)
    drafts = webhooks.drafts_for(shop.id, "ticket.resolved", {"id": "x"}, at=NOW)
    assert [draft.endpoint_id for draft in drafts] == [endpoint.id for endpoint in wanted]


@pytest.mark.parametrize("url", ["http://shop.example/", "https://user@shop.example/", "nonsense"])
def test_it_refuses_an_unfit_address_at_the_door(url: str) -> None:
    with pytest.raises(addresses.ForbiddenAddress):
        webhooks.create_endpoint(url)


def test_it_makes_an_endpoint_with_a_secret_of_its_own(settings: Settings) -> None:
    one = webhooks.create_endpoint("https://shop.example/", events=["ticket.*"])
    two = webhooks.create_endpoint("https://shop.example/")
    assert one.secret.clear() != two.secret.clear()
    assert (one.events, one.is_active) == (["ticket.*"], True)


def test_it_switches_an_endpoint_off_once_and_says_so() -> None:
    chief = make_user(Role.ADMINISTRATOR)
    endpoint = make_endpoint("https://shop.example/")
    webhooks.disable(endpoint.id, "HTTP 410", now=NOW)
    webhooks.disable(endpoint.id, "other", now=NOW)
    endpoint.refresh_from_db()
    assert (endpoint.is_active, endpoint.disabled_reason) == (False, "HTTP 410")
    assert Notice.objects.get(user=chief).params == {
        "endpoint": endpoint.id,
        "reason": "HTTP 410",
    }
    with pytest.raises(topics.Refused):
        webhooks.prepare(make_call(endpoint), now=NOW)


def test_it_gives_a_reason_only_for_what_is_switched_off() -> None:
    with pytest.raises(IntegrityError):
        make_endpoint("https://shop.example/", disabled_reason="x")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, None),
        (204, None),
        (299, None),
        (300, topics.TryLater),
        (302, topics.TryLater),
        (400, topics.TryLater),
        (404, topics.TryLater),
        (410, topics.Refused),
        (429, topics.TryLater),
        (500, topics.TryLater),
        (503, topics.TryLater),
    ],
)
def test_it_takes_nothing_but_2xx_for_success(status: int, kind: type | None) -> None:
    outcome = webhooks.outcome_of(posting.Answer(status, "60", NOW))
    assert type(outcome) is (kind or type(None))
    if status in (429, 503):
        assert isinstance(outcome, topics.TryLater)
        assert outcome.after == timedelta(seconds=60)
    elif isinstance(outcome, topics.TryLater):
        assert outcome.after is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 90 ", 90),
        (format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120),
        (format_datetime(NOW - timedelta(minutes=2), usegmt=True), 0),
        ("9" * 400, 10**6),
    ],
)
def test_it_reads_a_wait_in_seconds_or_as_a_date(text: str, seconds: int) -> None:
    assert webhooks.retry_after(text, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "-5", "1.5", "١٢", "Mon, 02 Mar 2026 09:00:00"])
def test_it_takes_no_notice_of_another_wait(text: str) -> None:
    assert webhooks.retry_after(text, NOW) is None
    assert dbtime.pinned() is None


def test_it_numbers_endpoints_for_the_relay() -> None:
    endpoint = make_endpoint("https://shop.example/")
    assert webhooks.endpoint_id(make_call(endpoint)) == endpoint.id
    assert WebhookEndpoint.objects.count() == 1
