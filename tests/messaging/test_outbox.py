from datetime import timedelta

import pytest
from django.db import connection, transaction

from aftersales.common import dbtime
from aftersales.messaging import outbox
from aftersales.messaging.drafts import NotAnId
from aftersales.messaging.models import Outbox
from tests.messaging.rows import NOW

pytestmark = pytest.mark.django_db


def test_it_gives_back_the_first_row_for_a_repeated_key() -> None:
    first = outbox.write("fan_out", "event:1", {"event": 1})
    again = outbox.write("fan_out", "event:1", {"event": 2})
    assert (again.id, again.payload) == (first.id, {"event": 1})
    assert Outbox.objects.count() == 1


def test_it_returns_what_it_stored() -> None:
    row = outbox.write("mail", "k", {"params": {"n": 1}}, now=NOW, recipient="user:1")
    stored = Outbox.objects.get()
    for field in Outbox._meta.concrete_fields:
        assert getattr(row, field.attname) == getattr(stored, field.attname), field.name
    assert row.created_at == row.available_at == NOW


def test_it_is_dated_by_the_frozen_clock() -> None:
    with dbtime.at(NOW):
        assert outbox.write("fan_out", "k", {}).available_at == NOW


def test_it_may_be_due_later() -> None:
    later = NOW + timedelta(hours=1)
    row = outbox.write("fan_out", "k", {}, now=NOW, available_at=later)
    assert (row.created_at, row.available_at) == (NOW, later)


def test_it_takes_a_bulk_insert_of_the_first_columns_only() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_outbox (topic, dedupe_key, payload, created_at, available_at)"
            " SELECT 'fan_out', 'sla:' || n, jsonb_build_object('event', n), now(), now()"
            " FROM generate_series(1, 500) AS n"
        )
    row = Outbox.objects.pending().first()
    assert row is not None
    assert (row.attempts, row.recipient, row.last_error, row.lease) == (0, "", "", None)
    assert Outbox.objects.due("fan_out", dbtime.database_now()).count() == 500


def test_it_vanishes_with_the_change_it_tells_about() -> None:
    with transaction.atomic():
        outbox.write("fan_out", "k", {})
        transaction.set_rollback(True)
    assert not Outbox.objects.exists()


@pytest.mark.parametrize(
    "payload",
    [
        {"name": "王小明"},
        {"mail": "ming@example.com"},
        {"text": "two words"},
        {"deep": [{"er": ["地址"]}]},
        {"a b": 1},
        {"object": object()},
    ],
)
def test_it_refuses_what_is_no_id(payload: dict[str, object]) -> None:
    with pytest.raises(NotAnId):
        outbox.write("fan_out", "k", payload)


def test_its_message_id_survives_a_reload_and_differs_between_rows() -> None:
    row = outbox.write("mail", "a", {})
    assert Outbox.objects.get(id=row.id).message_id == row.message_id
    assert outbox.write("mail", "b", {}).message_id != row.message_id
