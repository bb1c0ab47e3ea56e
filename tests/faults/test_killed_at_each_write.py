"""Every change of a case, killed before each of its writes: all of it happens, or nothing."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.faults import invariants, population
from tests.faults.clients import PATH, report
from tests.faults.harness import GLANCE, Scene, until, value, waiting, was_rolled_back
from tickets import clocks, workflow

CHILD = "fork-child"
WRITES = re.compile(r'\b(?:INSERT INTO|UPDATE|DELETE FROM) "?([a-z_]+)"?')
FINGERPRINTS = """
    CREATE OR REPLACE FUNCTION pg_temp.fingerprint(name text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE found text;
    BEGIN
        EXECUTE format('SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM %I t', name)
            INTO found;
        RETURN found;
    END $$;
    SELECT table_name, pg_temp.fingerprint(table_name) FROM information_schema.tables
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
"""
LATE = """
    SELECT count(*) FROM tickets_clock WHERE kind = 'response' AND due_at < clock_timestamp()
"""

Act = Callable[[], Any]


def everything() -> dict[str, str]:
    """A fingerprint of every table."""
    with connection.cursor() as cursor:
        cursor.execute(FINGERPRINTS)
        return dict(cursor.fetchall())


def tables_written(act: Act) -> list[str]:
    """In the order of the first writing; what the act does here is taken back."""
    with CaptureQueriesContext(connection) as asked, transaction.atomic():
        act()
        transaction.set_rollback(True)
    found = [table for query in asked for table in WRITES.findall(query["sql"])]
    return list(dict.fromkeys(table for table in found if table != "new"))


def kill_before_each_write(stage: Scene, act: Act) -> list[str]:
    """Returns the tables before whose writing it was killed; each time it left nothing behind."""
    tables = tables_written(act)
    for table in tables:
        before = everything()
        with stage.forks() as forks:
            with stage.barrier(table):
                child = forks.start(CHILD, lambda: bool(act()))
                backend = until(
                    lambda: waiting(CHILD), f"the child at {table} of {tables}", every=GLANCE
                )
                forks.kill(child)
            assert was_rolled_back(backend)
        after = everything()
        assert {name for name in after if after[name] != before[name]} == set(), table
    return tables


def acts_of_people(pk: int) -> Iterator[tuple[str, Act]]:
    """What is done to one case, one after the other."""
    by, agent = population.actor(population.SUPERVISOR), population.person(population.AGENT)
    manager, owner = population.actor(population.MANAGER), population.actor(population.AGENT)
    words = workflow.Words("您好,请打 13800138000。")
    explained: dict[str, Any] = {"cause": "缺货", "remedy": "调货", "new_promise_at": None}
    yield "assign", lambda: workflow.assign_ticket(pk, owner_id=agent.pk, by=by)
    yield "reply", lambda: workflow.reply_to_customer(pk, words, by=by)
    yield "grade", lambda: workflow.grade_ticket(pk, level="urgent", reason="停机", by=by)
    yield "file", lambda: workflow.file_grading(pk, by=manager)
    yield "wait", lambda: workflow.wait_ticket(pk, reason="customer", by=by)
    yield "resume", lambda: workflow.resume_ticket(pk, by=by)
    yield "explain", lambda: workflow.submit_explanation(pk, 1, **explained, by=owner)
    yield "send back", lambda: workflow.return_explanation(pk, 1, reason="详述", by=manager)
    yield "resolve", lambda: workflow.resolve_ticket(pk, resolution="已更换", by=by)
    yield "reopen", lambda: workflow.reopen_ticket(pk, reason="仍不亮", by=by)
    yield "cancel", lambda: workflow.cancel_ticket(pk, reason="误报", by=by)


def test_a_sweep_that_is_killed_before_any_of_its_writes_leaves_nothing(stage: Scene) -> None:
    ids = population.gather(20, seconds=0.1)
    late = (
        "SELECT count(*) FROM tickets_clock WHERE due_at < clock_timestamp() AND kind = 'response'"
    )
    until(lambda: value(late) == len(ids), "the first deadlines")
    tables = kill_before_each_write(stage, clocks.sweep)
    assert {
        "tickets_clock",
        "tickets_event",
        "messaging_outbox",
        "tickets_explanation",
        "tickets_ticket",
    } <= set(tables)
    assert invariants.flags() == 0
    clocks.sweep()
    assert invariants.flags() > len(ids)
    invariants.assert_nothing_lost_or_double()
    stage.tell(f"killed a sweep before its first write to each of {len(tables)} tables")


def test_people_who_are_killed_before_any_of_their_writes_leave_nothing(stage: Scene) -> None:
    (pk,) = population.gather(1, seconds=0.1)
    until(lambda: value("SELECT wake_at < clock_timestamp() FROM tickets_ticket"), "a deadline")
    until(lambda: clocks.sweep() and value("SELECT count(*) FROM tickets_explanation"), "a breach")
    kills = 0
    for name, act in acts_of_people(pk):
        tables = kill_before_each_write(stage, act)
        assert {"tickets_event", "messaging_outbox"} <= set(tables), name
        kills += len(tables)
        act()
        invariants.assert_nothing_lost_or_double()
    stage.tell(f"killed 11 steps of people before each of their writes: {kills} kills")


def test_a_report_that_is_killed_before_any_of_its_writes_leaves_nothing(stage: Scene) -> None:
    http = Client(
        headers={"Authorization": f"Bearer {population.shop_key()}", "Idempotency-Key": "once"}
    )
    http.get(PATH)  # the key's use is noted once an hour, apart from what it is used for

    def post() -> Any:
        return http.post(PATH, json.dumps(report("once")), content_type="application/json")

    tables = kill_before_each_write(stage, post)
    assert {"accounts_idempotentrequest", "customers_contact", "tickets_ticket"} <= set(tables)
    first, second = post(), post()
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.json()["id"] == second.json()["id"]
    invariants.assert_nothing_lost_or_double()
    stage.tell(f"killed a report before its first write to each of {len(tables)} tables")
