from datetime import timedelta

import pytest
from django.db import connection

from aftersales.common import dbtime
from aftersales.messaging import figures, outbox
from aftersales.messaging.models import Outbox
from tests.messaging.rows import NOW

pytestmark = pytest.mark.django_db


def test_it_counts_what_waits_and_what_was_given_up() -> None:
    for n in range(4):
        outbox.write("mail", str(n), {})
    Outbox.objects.filter(dedupe_key="0").update(sent_at=NOW)
    Outbox.objects.filter(dedupe_key="1").update(dead_at=NOW)
    assert (figures.pending_count(), figures.dead_count()) == (2, 1)


def test_it_measures_how_far_the_relay_is_behind() -> None:
    with dbtime.at(NOW):
        assert figures.oldest_pending_age() == timedelta(0)
        outbox.write("mail", "later", {}, available_at=NOW + timedelta(hours=1))
        assert figures.oldest_pending_age() == timedelta(0)
        outbox.write("never.registered", "a", {}, available_at=NOW - timedelta(minutes=7))
        outbox.write("mail", "b", {}, available_at=NOW - timedelta(minutes=5))
        outbox.write("aaa", "c", {}, available_at=NOW - timedelta(minutes=9))
        Outbox.objects.filter(dedupe_key="c").update(dead_at=NOW)
        assert figures.oldest_pending_age() == timedelta(minutes=7)


def test_it_reads_a_few_pages_however_many_rows_there_are() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_outbox"
            " (topic, dedupe_key, payload, created_at, available_at, sent_at)"
            " SELECT 'mail', n::text, '{}', now(), now(), CASE WHEN n % 2 = 0 THEN now() END"
            " FROM generate_series(1, 20000) AS n"
        )
        cursor.execute("ANALYZE messaging_outbox")
        due = Outbox.objects.due("mail", dbtime.database_now())[:1]
        for query, params in [due.query.sql_with_params(), (figures._OLDEST, ())]:
            cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + query, params)
            plan = cursor.fetchone()[0][0]["Plan"]
            assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 40
