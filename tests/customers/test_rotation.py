"""Keys change while the portal runs: nothing is unreadable meanwhile, nothing is left behind."""

import io
import threading
from typing import Any

import pgtrigger
import pytest
from django.core.management import CommandError, call_command
from django.db import InternalError, connection, transaction
from pytest_django import Settings

from aftersales.common import crypto
from aftersales.customers import intake, rotation
from aftersales.customers.management.commands import rotate_personal_data
from aftersales.customers.models import Contact, Order
from aftersales.messaging.models import WebhookEndpoint
from tests.factories import make_contact, make_order

OLD = {"old": b"o" * 32}
NEW = {"new2": b"n" * 32}


@pytest.fixture(autouse=True)
def _old_keys(settings: Settings) -> None:
    settings.PERSONAL_DATA_KEYS = OLD
    settings.BLIND_INDEX_KEY = OLD


def new_keys_first(settings: Settings) -> None:
    settings.PERSONAL_DATA_KEYS = settings.BLIND_INDEX_KEY = NEW | OLD


def only_new_keys(settings: Settings) -> None:
    settings.PERSONAL_DATA_KEYS = settings.BLIND_INDEX_KEY = NEW


def rotate(**options: Any) -> str:
    out = io.StringIO()
    call_command("rotate_personal_data", stdout=out, **options)
    return out.getvalue()


def contacts() -> rotation.Table:
    return next(table for table in rotation.tables() if table.model is Contact)


def test_it_knows_every_table_with_an_encrypted_column() -> None:
    names = {table.name for table in rotation.tables()}
    assert {"customers_contact", "customers_order", "messaging_webhookendpoint"} <= names
    assert {"tickets_ticket", "tickets_message"} <= names


@pytest.mark.django_db
def test_afterwards_the_old_key_may_go(settings: Settings) -> None:
    for number in range(7):
        make_contact(phone=f"1381234000{number}", email=None)
    order = make_order(number="DD1", lines=[{"item": "控制器"}])
    endpoint = WebhookEndpoint.objects.create(url="https://example.com/", secret="whsec_1")
    new_keys_first(settings)
    assert Contact.objects.latest("pk").phone.clear() == "13812340006"
    assert len(intake.find_contacts(shop_id=None, phone="13812340006")) == 1

    assert "customers_contact: 7 rewritten" in rotate(batch=3)

    only_new_keys(settings)
    for number, contact in enumerate(Contact.objects.order_by("pk")):
        assert contact.phone.clear() == f"1381234000{number}"
        assert contact.email is None
    assert len(intake.find_contacts(shop_id=None, phone="13812340006")) == 1
    assert intake.find_order(order.shop_id, "dd1") == order
    assert Order.objects.get().lines.clear() == [{"item": "控制器"}]
    assert WebhookEndpoint.objects.get(pk=endpoint.pk).secret.clear() == "whsec_1"
    assert "customers_contact: 0 rewritten" in rotate()


@pytest.mark.django_db
def test_only_the_index_key_may_change(settings: Settings) -> None:
    make_contact()
    settings.BLIND_INDEX_KEY = NEW | OLD
    rotate()
    settings.BLIND_INDEX_KEY = NEW
    assert len(intake.find_contacts(shop_id=None, phone="13812345678")) == 1


@pytest.mark.django_db
def test_it_goes_on_where_it_stopped(settings: Settings) -> None:
    for _ in range(5):
        make_contact()
    new_keys_first(settings)
    assert rotation.rotate_batch(contacts(), size=2) == (2, [])
    assert rotation.count_behind(contacts()) == 3
    with pytest.raises(CommandError, match="3 rows are left"):
        rotate(check=True)
    rotate()
    rotate(check=True)


@pytest.mark.django_db
def test_append_only_tables_are_let_through(settings: Settings) -> None:
    make_contact()
    frozen = pgtrigger.Protect(name="frozen", operation=pgtrigger.Update)
    with frozen.register(Contact):  # type: ignore[arg-type]
        frozen.install(Contact)  # type: ignore[arg-type]
        with pytest.raises(InternalError), transaction.atomic():
            Contact.objects.update(language="en")
        new_keys_first(settings)
        rotate()
    only_new_keys(settings)
    assert Contact.objects.get().phone.clear() == "13812345678"


@pytest.mark.django_db
def test_a_row_that_cannot_be_read_stops_nobody_and_is_told(settings: Settings) -> None:
    bad, good = make_contact(), make_contact()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE customers_contact SET phone = email WHERE id = %s", [bad.pk])
    new_keys_first(settings)
    with pytest.raises(CommandError, match="1 rows cannot be read"):
        rotate(batch=1)
    settings.PERSONAL_DATA_KEYS = NEW
    assert Contact.objects.get(pk=good.pk).phone.clear() == "13812345678"
    with pytest.raises(crypto.CryptoError):
        Contact.objects.get(pk=bad.pk).phone.clear()


@pytest.mark.django_db(transaction=True)
def test_a_row_in_other_hands_is_passed_over_and_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, free = make_contact(), make_contact()
    new_keys_first(settings)
    monkeypatch.setattr(rotate_personal_data, "PAUSE", 0)
    locked, finished = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Contact.objects.select_for_update().get(pk=held.pk)
            locked.set()
            finished.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert locked.wait(10)
        with pytest.raises(CommandError, match="1 rows are left"):
            rotate()
    finally:
        finished.set()
        thread.join(30)
    rotate()
    only_new_keys(settings)
    for contact in (held, free):
        assert Contact.objects.get(pk=contact.pk).phone.clear() == "13812345678"
