"""Encrypted columns: no door lets clear text into the database, or out of an instance unasked."""

import json
import logging
import pickle
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from django.core import serializers
from django.core.cache import cache
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import DataError, IntegrityError, connection, models, transaction
from django.db.models import F, Value
from django.forms import modelform_factory
from django.template import Context, Template
from django.test.utils import isolate_apps
from rest_framework.serializers import ModelSerializer

from aftersales.common import crypto
from aftersales.customers import normal
from aftersales.customers.fields import (
    BlindIndexField,
    ClearTextError,
    EncryptedJSONField,
    EncryptedTextField,
    IndexValue,
    SealedModel,
    candidates,
)
from aftersales.customers.models import Contact, Customer, Order
from tests import canary
from tests.factories import make_contact, make_order

pytestmark = pytest.mark.django_db

PHONE = "13812345678"


def stored(contact: Contact, column: str = "phone") -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {column} FROM customers_contact WHERE id = %s",
            [contact.pk],
        )
        return bytes(cursor.fetchone()[0])


def overwrite(contact: Contact, column: str, value: str | bytes) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE customers_contact SET {column} = %s WHERE id = %s",
            [value, contact.pk],
        )


def is_indexed(contact: Contact, phone: str) -> bool:
    return stored(contact, "phone_index") == candidates(Contact, "phone_index", phone)[0]


# --- in ------------------------------------------------------------------------------------------


def test_it_stores_a_blob_and_reads_the_text() -> None:
    contact = make_contact(name="欧阳🐉", address="")
    again = Contact.objects.get(pk=contact.pk)
    assert (again.name.clear(), again.phone.clear(), again.address.clear()) == ("欧阳🐉", PHONE, "")
    assert PHONE.encode() not in stored(contact)


def test_null_stays_null() -> None:
    contact = make_contact(phone=None)
    again = Contact.objects.get(pk=contact.pk)
    assert again.phone is None
    assert again.phone_index is None


def test_json_comes_back_as_it_was() -> None:
    lines = [{"item": "控制器", "quantity": 2, "price": "199.00"}, None, True]
    order = make_order(lines=lines)
    assert Order.objects.get(pk=order.pk).lines.clear() == lines


def test_bulk_create_stores_blobs_and_indexes() -> None:
    customer = Customer.objects.create()
    made = Contact.objects.bulk_create(
        [Contact(customer=customer, phone=phone) for phone in (PHONE, "010-62781234")]
    )
    assert [Contact.objects.get(pk=c.pk).phone.clear() for c in made] == [PHONE, "010-62781234"]
    assert is_indexed(made[0], PHONE)
    assert is_indexed(made[1], "+86 10 6278 1234")


@pytest.mark.parametrize(
    "write",
    [
        lambda c: Contact.objects.filter(pk=c.pk).update(phone="13900000000"),
        lambda c: Contact.objects.filter(pk=c.pk).update(phone=b"13900000000"),
        lambda c: Contact.objects.filter(pk=c.pk).update(phone=c.phone),
        lambda c: Contact.objects.filter(pk=c.pk).update(phone=b"\x01\x02k1" + b"13900000000" * 3),
        lambda c: Contact.objects.filter(pk=c.pk).update(phone=Value("13900000000")),
        lambda c: Contact.objects.filter(pk=c.pk).update(phone_index=b"\x02b1" + b"0" * 16),
        lambda c: Contact.objects.bulk_update([c], ["phone"]),
        lambda c: overwrite(c, "phone", "13900000000"),
        lambda c: overwrite(c, "phone", b"13900000000, and long enough to be a blob"),
        lambda c: overwrite(c, "phone", b""),
        lambda c: setattr(c, "phone", F("email")),
        lambda c: setattr(c, "phone", 13900000000),
        lambda c: setattr(c, "phone", b"13900000000"),
    ],
)
def test_no_write_past_the_instance_stores_clear_text(write: Callable[[Contact], object]) -> None:
    contact = make_contact()
    before = stored(contact), stored(contact, "phone_index")
    with pytest.raises((TypeError, IntegrityError, DataError)), transaction.atomic():
        write(contact)
    assert (stored(contact), stored(contact, "phone_index")) == before


def test_an_upsert_of_encrypted_columns_is_refused() -> None:
    contact = make_contact()
    copy = Contact(pk=contact.pk, customer=contact.customer, phone="13900000000")
    with pytest.raises(ClearTextError):
        Contact.objects.bulk_create(
            [copy], update_conflicts=True, update_fields=["phone"], unique_fields=["pk"]
        )


def test_a_fixture_is_refused() -> None:
    text = serializers.serialize("json", [make_contact()])
    (row,) = serializers.deserialize("json", text)
    with pytest.raises(ClearTextError):
        row.save()


@pytest.mark.parametrize("fields", [None, ["phone"], {"phone", "language"}])
def test_the_index_follows_every_save(fields: Any) -> None:
    contact = make_contact()
    contact.phone = "+86 139 0000 0000"
    contact.save(update_fields=fields)
    assert is_indexed(contact, "13900000000")
    contact.phone = None
    contact.save(update_fields=fields)
    assert Contact.objects.get(pk=contact.pk).phone_index is None


def test_the_index_cannot_be_set_by_hand() -> None:
    contact = make_contact()
    contact.phone_index = IndexValue(b"\x02b1" + b"0" * 16)
    contact.save(update_fields=["phone_index"])
    assert is_indexed(contact, PHONE)


def test_a_save_of_other_columns_rewrites_no_blob() -> None:
    contact = make_contact()
    before = stored(contact)
    contact.language = "en"
    contact.save(update_fields=["language"])
    assert stored(contact) == before


def test_a_column_that_was_not_loaded_keeps_its_value_and_index() -> None:
    contact = make_contact()
    part = Contact.objects.defer("phone", "public_id").get(pk=contact.pk)
    part.language = "en"
    part.save()
    again = Contact.objects.only("phone").get(pk=contact.pk)
    assert again.phone.clear() == PHONE
    assert is_indexed(contact, PHONE)


def test_a_copied_instance_is_sealed_for_its_new_row() -> None:
    contact = make_contact()
    contact.pk, contact.public_id, contact._state.adding = None, uuid.uuid4(), True
    contact.save()
    assert Contact.objects.get(pk=contact.pk).phone.clear() == PHONE


def test_a_value_may_be_handed_to_another_row() -> None:
    one, other = make_contact(), make_contact(phone="13900000000")
    other.phone = one.phone
    other.save(update_fields=["phone"])
    assert Contact.objects.get(pk=other.pk).phone.clear() == PHONE


def test_a_value_taken_out_by_values_cannot_be_stored_elsewhere() -> None:
    contact = make_contact()
    taken = Contact.objects.values_list("phone", flat=True).get(pk=contact.pk)
    other = make_contact()
    with pytest.raises(crypto.UndecryptableError):
        other.phone = taken
    with pytest.raises(crypto.UndecryptableError):
        make_contact(phone=taken)
    taken = Contact.objects.values_list("address", flat=True).get(pk=contact.pk)
    with pytest.raises(crypto.UndecryptableError):
        Contact.objects.create(customer_id=contact.customer_id, address=taken)


# --- out -----------------------------------------------------------------------------------------


def test_a_blob_moved_to_another_row_fails_loudly(caplog: pytest.LogCaptureFixture) -> None:
    one, other = make_contact(), make_contact(phone="13900000000")
    overwrite(other, "phone", stored(one))
    with structlog.testing.capture_logs() as lines, pytest.raises(crypto.UndecryptableError):
        Contact.objects.get(pk=other.pk).phone.clear()
    assert [line["event"] for line in lines] == ["personal_data.undecryptable"]
    assert lines[0]["row"] == str(other.public_id)
    assert PHONE not in str(lines) + caplog.text


def test_a_blob_moved_to_another_column_fails_loudly() -> None:
    contact = make_contact()
    overwrite(contact, "address", stored(contact))
    with pytest.raises(crypto.UndecryptableError):
        Contact.objects.get(pk=contact.pk).address.clear()


@pytest.mark.parametrize(
    "lookup",
    ["exact", "iexact", "contains", "startswith", "regex", "in", "gt", "lt", "range", "length"],
)
@pytest.mark.parametrize("name", ["phone", "name", "email", "address"])
def test_no_lookup_but_isnull_reaches_an_encrypted_column(name: str, lookup: str) -> None:
    with pytest.raises(FieldError):
        Contact.objects.filter(**{f"{name}__{lookup}": PHONE}).exists()


def test_nothing_is_derived_from_an_encrypted_column() -> None:
    for order in ("phone__lower", "-phone__length"):
        with pytest.raises(FieldError):
            list(Contact.objects.order_by(*[order]))


def test_a_value_equals_itself_and_no_text() -> None:
    contact, other = make_contact(), make_contact()
    again = Contact.objects.get(pk=contact.pk)
    assert contact.phone == again.phone
    assert {contact.phone, again.phone, other.phone} == {contact.phone, other.phone}
    assert contact.phone != other.phone
    assert contact.phone != PHONE


def test_isnull_works() -> None:
    contact = make_contact(email=None)
    assert Contact.objects.filter(email__isnull=True, phone__isnull=False).get() == contact


def test_the_index_is_looked_up_by_candidates_alone() -> None:
    make_contact()
    with pytest.raises(ClearTextError):
        Contact.objects.filter(phone_index=PHONE.encode()).exists()


def as_model_serializer(contact: Contact) -> object:
    class Output(ModelSerializer[Contact]):
        class Meta:
            model = Contact
            exclude = ("phone_index", "email_index")

    return json.dumps(Output(contact).data, default=str)


def as_log(contact: Contact) -> object:
    stream = logging.LogRecord("x", 10, "", 0, "%s %r", (contact.phone, contact.__dict__), None)
    line = structlog.processors.JSONRenderer()(
        None, "", {"phone": contact.phone, "contact": contact}
    )
    return f"{stream.getMessage()} {line!r}"


def as_template(contact: Contact) -> object:
    source = "{{ c }} {{ c.phone }} {{ c.phone.clear }} {{ c.name }} {{ c.address|upper }}"
    return Template(source).render(Context({"c": contact}))


def as_cache(contact: Contact) -> object:
    cache.set("contact", contact, 5)
    again = cache.get("contact")
    assert again.phone.clear() == PHONE
    return pickle.dumps(contact)


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda c: f"{c.phone} {c.name!r} {c.email:>40}",
        lambda c: vars(c),
        lambda c: Contact.objects.values().get(pk=c.pk),
        lambda c: list(Contact.objects.values_list("phone", "name")),
        lambda c: serializers.serialize("json", [c]),
        lambda c: serializers.serialize("xml", [c]),
        as_model_serializer,
        as_log,
        as_template,
        as_cache,
    ],
)
def test_nothing_shows_clear_text_unasked(show: Callable[[Contact], object]) -> None:
    marks = canary.Marks()
    contact = make_contact(phone=PHONE, name=marks.name, email=marks.email, address=marks.address)
    for seen in (contact, Contact.objects.get(pk=contact.pk)):
        shown = show(seen)
        text = shown.decode("utf-8", "replace") if isinstance(shown, bytes) else str(shown)
        for value in (PHONE, marks.name, marks.email, marks.address):
            assert value not in text


def test_dumpdata_holds_no_clear_text(capsys: pytest.CaptureFixture[str]) -> None:
    make_contact()
    make_order(number="DD2026112299")
    call_command("dumpdata", "customers")
    out = capsys.readouterr().out
    assert json.loads(out)[1]["fields"]["phone"] == "•••"
    assert PHONE not in out
    assert "DD2026112299" not in out


def test_no_form_can_be_made_of_it() -> None:
    with pytest.raises(FieldError):
        modelform_factory(Contact, fields=["phone"])


# --- declarations --------------------------------------------------------------------------------


@isolate_apps("aftersales.customers")
def test_a_model_without_a_row_key_is_refused() -> None:
    class Bare(models.Model):  # noqa: DJ008
        text = EncryptedTextField()

        class Meta:
            app_label = "customers"

    class Late(models.Model):  # noqa: DJ008
        text = EncryptedTextField(unique=True)
        public_id = models.UUIDField(unique=True, default=uuid.uuid4)

        class Meta:
            app_label = "customers"

    assert [error.id for error in Bare.check()] == ["customers.E001"]
    assert [error.id for error in Late.check()] == ["customers.E002", "customers.E003"]


@isolate_apps("aftersales.customers")
def test_the_row_key_may_have_another_name() -> None:
    class Named(models.Model):  # noqa: DJ008
        key = models.UUIDField(unique=True, default=uuid.uuid4)
        text = EncryptedTextField(row_key="key")

        class Meta:
            app_label = "customers"

    assert Named.check() == []
    assert Named(text="x").text.clear() == "x"
    *_, options = Named._meta.get_field("text").deconstruct()
    assert options == {"row_key": "key"}


def test_only_the_models_own_indexes_are_looked_up() -> None:
    with pytest.raises(TypeError):
        candidates(Contact, "language", "zh-hans")
    with pytest.raises(TypeError):
        BlindIndexField(of="phone").candidates(PHONE)


@isolate_apps("aftersales.customers")
def test_an_index_without_the_model_that_keeps_it_true_is_refused() -> None:
    class Drifting(models.Model):  # noqa: DJ008
        public_id = models.UUIDField(unique=True, default=uuid.uuid4)
        phone = EncryptedTextField()
        phone_index = BlindIndexField(of="phone", normalise=normal.phone_key)

        class Meta:
            app_label = "customers"

    class Good(SealedModel):
        data = EncryptedJSONField(null=True)

        class Meta:
            app_label = "customers"

    assert [error.id for error in Drifting.check()] == ["customers.E004"]
    assert Good.check() == Contact.check() == []
