"""Personal data stands nowhere in clear; and if it did, the search would see it."""

import base64
import logging
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection, transaction
from pytest_django import Settings

from aftersales.accounts.models import Role
from aftersales.customers import grants, intake
from aftersales.customers.models import Customer
from aftersales.messaging.models import WebhookEndpoint
from tests import canary
from tests.factories import make_order, make_staff_client, make_user, staff_actor
from tests.openapi import RestClient

pytestmark = pytest.mark.django_db


def test_a_customers_data_is_nowhere_in_clear(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], settings: Settings
) -> None:
    caplog.set_level(logging.DEBUG)
    marks = canary.Marks()
    with transaction.atomic():
        contact = intake.find_or_create_contact(
            shop_id=None,
            name=marks.name,
            phone=marks.phone,
            email=marks.email,
            address=marks.address,
        )
        assert intake.find_or_create_contact(shop_id=None, phone=marks.phone).pk == contact.pk
    order = make_order(number=marks.order_number, contact=contact, lines=[marks.sentence])
    assert intake.find_order(order.shop_id, marks.order_number) == order
    manager = staff_actor(Role.MANAGER)
    grants.break_glass(
        contact_id=contact.pk,
        case_ref="GZ1",
        fields=["name", "phone", "email", "address"],
        reason=marks.sentence,
        by=manager,
    )
    assert manager.user is not None
    look = {"fields": ["name", "phone", "email", "address"], "case_ref": "GZ1"}
    url = f"/api/v1/contacts/{contact.public_id}/reveal/"
    seen = RestClient(make_staff_client(manager.user)).post(url, look | {"purpose": marks.sentence})
    assert seen.json() == {  # type: ignore[attr-defined]
        "name": marks.name,
        "phone": marks.phone,
        "email": marks.email,
        "address": marks.address,
    }
    refused = RestClient(make_staff_client(make_user())).post(
        url, look | {"purpose": marks.sentence}
    )
    assert refused.status_code == 403
    cache.set("contact", contact, 60)
    logging.getLogger("aftersales").warning("%s %r %s", contact, contact.__dict__, contact.masked())
    settings.PERSONAL_DATA_KEYS = {"k9": b"9" * 32, **settings.PERSONAL_DATA_KEYS}
    call_command("rotate_personal_data")
    output = capfd.readouterr()
    logs = caplog.text + output.out + output.err
    assert "masked" not in logs
    assert canary.grep_everything(marks, logs=logs) == []
    cache.delete("contact")


class TestTheSearchItself:
    @pytest.mark.parametrize("name", list(canary.Marks().values()))
    def test_it_sees_each_value_in_a_table(self, name: str) -> None:
        marks = canary.Marks()
        Customer.objects.create(kind="company", company=f"x{marks.values()[name].lower()}y")
        assert canary.grep_everything(marks) == [f"public.customers_customer: {name}"]

    @pytest.mark.parametrize(
        "write", [bytes, base64.b64encode, lambda plain: plain[:3] + plain[3:]]
    )
    def test_it_sees_a_value_in_bytes(self, write: Any) -> None:
        marks = canary.Marks()
        WebhookEndpoint.objects.create(url="https://example.com/", secret="x")
        blob = b"\x01" + write(b"xx" + marks.phone.encode() + b"and enough to pass for a blob")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE messaging_webhookendpoint SET secret = %s", [blob])
        assert canary.grep_everything(marks) == ["public.messaging_webhookendpoint: phone"]

    def test_it_sees_a_value_in_redis_logs_and_files(self, tmp_path: Path) -> None:
        marks = canary.Marks()
        (tmp_path / "mail").mkdir()
        (tmp_path / "mail" / "1.txt").write_text(f"Dear {marks.name}", encoding="utf-8")
        cache.set("canary", {"address": marks.address, "padding": "x" * 1000}, 60)
        try:
            found = canary.grep_everything(
                marks,
                logs=f"call {marks.phone[:3]} {marks.phone[3:7]} {marks.phone[7:]}",
                files=[tmp_path],
            )
        finally:
            cache.delete("canary")
        assert sorted(place.split()[0].rpartition("/")[2] for place in found) == [
            "1.txt:",
            "logs:",
            "redis",
        ]
