"""The admin: every page of ours opens, none shows a clear value, records cannot be changed."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from aftersales.accounts.models import Role
from aftersales.customers import grants
from aftersales.customers.models import (
    AccessLog,
    Alert,
    Contact,
    Customer,
    Grant,
    Order,
    Product,
    ProductCategory,
    Unit,
)
from tests import canary
from tests.factories import make_contact, make_order, make_unit, make_user, staff_actor

pytestmark = pytest.mark.django_db

MODELS = [AccessLog, Alert, Contact, Customer, Grant, Order, Product, ProductCategory, Unit]


@pytest.fixture
def marks() -> canary.Marks:
    """One row of everything."""
    marks = canary.Marks()
    contact = make_contact(
        name=marks.name, phone=marks.phone, email=marks.email, address=marks.address
    )
    make_order(contact=contact, number=marks.order_number, lines=[marks.sentence])
    make_unit()
    manager = staff_actor(Role.MANAGER)
    grants.break_glass(
        contact_id=contact.pk,
        case_ref="GZ1",
        fields=["phone"],
        reason=f"回电 {marks.phone} 求助",
        by=manager,
    )
    grants.reveal(
        contact_id=contact.pk, fields=["phone"], case_ref="GZ1", purpose=marks.phone, by=manager
    )
    return marks


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(make_user(Role.ADMINISTRATOR))
    return client


@pytest.mark.parametrize("model", MODELS)
def test_no_page_shows_a_clear_value(model: type, marks: canary.Marks, browser: Client) -> None:
    name = f"admin:customers_{model.__name__.lower()}"
    row = model._default_manager.first()  # type: ignore[attr-defined]
    for address in (
        reverse(f"{name}_changelist"),
        reverse(f"{name}_change", args=[row.pk]),
        reverse(f"{name}_history", args=[row.pk]),
    ):
        answer = browser.get(address)
        assert answer.status_code == 200, address
        text = answer.content.decode()
        for value in marks.values().values():
            assert value not in text


def test_masks_are_shown(marks: canary.Marks, browser: Client) -> None:
    page = browser.get(reverse("admin:customers_contact_changelist")).content.decode()
    assert "鹮**" in page
    assert "198****6543" in page


@pytest.mark.parametrize("model", [AccessLog, Alert, Contact, Grant, Order])
def test_records_are_read_only(model: type, marks: canary.Marks, browser: Client) -> None:
    name = f"admin:customers_{model.__name__.lower()}"
    row = model._default_manager.first()  # type: ignore[attr-defined]
    assert browser.get(reverse(f"{name}_add")).status_code == 403
    assert browser.post(reverse(f"{name}_change", args=[row.pk]), {"x": 1}).status_code == 403
    assert (
        browser.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    )


def test_every_model_is_registered() -> None:
    ours = {m for m in admin.site._registry if m._meta.app_label == "customers"}
    assert ours == set(MODELS)
