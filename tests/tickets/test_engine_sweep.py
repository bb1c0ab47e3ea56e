"""The sweep against what goes wrong: a culprit, a lost connection, locks of others, and cost."""

import importlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections

from aftersales.common import dbtime
from tests.factories import make_ticket, staff_actor
from tests.tickets.conftest import Moment, at
from tests.tickets.crowd import multiply
from tests.tickets.promises import clock_of, take
from tests.tickets.races import Runner
from tickets import clocks, workflow
from tickets.clocks.promises import Case
from tickets.models import Event, Ticket

engine = importlib.import_module("tickets.clocks.sweep")  # the package shows the function instead


@pytest.fixture
def fail_on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settling this case raises this error, for as long as the test lasts or until undone."""
    settle = engine.settle

    def arrange(ticket: Ticket, error: Exception) -> None:
        def settle_or_fail(cases: Sequence[Case]) -> None:
            if any(case.ticket.pk == ticket.pk for case in cases):
                raise error
            settle(cases)

        monkeypatch.setattr(engine, "settle", settle_or_fail)

    return arrange


@pytest.mark.parametrize("error", [ValueError("bad row"), OperationalError("statement timeout")])
def test_a_culprit_never_holds_up_the_others(
    moment: Moment, fail_on: Any, error: Exception
) -> None:
    """An OperationalError is no lost connection yet: a query that is too slow raises it as well."""
    bad, good = make_ticket(), make_ticket()
    fail_on(bad, error)
    moment("2026-11-20 15:31")
    assert clocks.sweep() == 1
    assert clock_of(good, "response").breached_at is not None
    bad.refresh_from_db()
    assert (bad.wake_at, bad.wake_attempts) == (at("2026-11-20 15:36"), 1)


def test_a_pushed_case_that_is_well_again_is_settled_with_its_true_times(
    moment: Moment, fail_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = make_ticket()
    fail_on(ticket, ValueError("bad row"))
    moment("2026-11-20 15:31")
    clocks.sweep()
    monkeypatch.undo()
    moment("2026-11-20 15:36:01")
    assert clocks.sweep() == 1
    ticket.refresh_from_db()
    assert ticket.wake_attempts == 0
    assert ticket.events.get(name="clock.breached", params__kind="response").at == at(
        "2026-11-20 15:30"
    )


def test_whoever_works_on_a_pushed_case_settles_it(moment: Moment, fail_on: Any) -> None:
    owner = staff_actor()
    ticket = make_ticket(by=owner)
    take(ticket, owner)
    fail_on(ticket, ValueError("bad row"))
    moment("2026-11-20 15:31")
    clocks.sweep()
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=owner)
    ticket.refresh_from_db()
    assert ticket.wake_attempts == 0
    assert ticket.wake_at != at("2026-11-20 15:36")


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_is_cut_amid_a_batch_leaves_nothing_half_done(
    moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = [make_ticket() for _ in range(3)]
    moment("2026-11-20 15:31")
    settle = engine.settle

    def settle_and_be_cut_off(cases: Sequence[Case]) -> None:
        settle(cases)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        assert Runner(cut_off, pid).outcome() is None

    monkeypatch.setattr(engine, "settle", settle_and_be_cut_off)
    with pytest.raises(DatabaseError):
        clocks.sweep()
    monkeypatch.undo()
    assert not Ticket.objects.filter(wake_attempts__gt=0).exists()
    assert not Event.objects.filter(name="clock.breached").exists()
    assert clocks.sweep() == 3
    flagged = Event.objects.filter(name="clock.breached", params__kind="response")
    assert sorted(flagged.values_list("ticket", flat=True)) == [ticket.pk for ticket in tickets]


def cut_off(pid: int) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@pytest.mark.django_db(transaction=True)
def test_a_case_in_somebodys_hands_is_passed_over_and_not_waited_for(moment: Moment) -> None:
    held, free = make_ticket(), make_ticket()
    moment("2026-11-20 15:31")
    with clocks.open_case(held.pk):
        assert Runner(clocks.sweep).outcome() == 1
    assert clock_of(free, "response").breached_at is not None
    assert clock_of(held, "response").breached_at is not None


def test_moments_keep_their_microseconds_on_the_way_to_the_database(moment: Moment) -> None:
    received = moment("2026-11-20 10:00:00.123456")
    ticket = make_ticket(urgency="urgent")
    moment.later(minutes=31)
    clocks.sweep()
    clock = clock_of(ticket, "response")
    assert clock.due_at == clock.breached_at == received + timedelta(minutes=30)
    assert clock.events.get(stage="0").at == clock.due_at
    assert clock.explanations.get().missed_at == clock.due_at


# --- cost -----------------------------------------------------------------------------------------

DUE = 100


def pages_of_a_sweep() -> dict[str, int]:
    """The pages that each statement of a sweep touches, by its first words."""
    pages: dict[str, int] = {}

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.split()[0] in ("SELECT", "INSERT", "UPDATE", "WITH"):
            cursor = context["cursor"]
            cursor.execute("SAVEPOINT explained")
            execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params, many, context)
            plan = cursor.fetchone()[0][0]["Plan"]
            cursor.execute("ROLLBACK TO SAVEPOINT explained")
            pages[sql.strip()[:40]] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        assert clocks.sweep() == DUE
    return pages


def test_its_cost_follows_what_is_due_and_not_what_is_open(moment: Moment) -> None:
    far = make_ticket(urgency="general")
    found = []
    for more in (2_000, 18_000):
        multiply(far, more)
        with dbtime.at(moment.now - timedelta(minutes=31)):
            multiply(make_ticket(urgency="urgent"), DUE - 1)
        found.append(pages_of_a_sweep())
    small, large = found
    assert any(words.startswith("UPDATE") for words in large)
    for words, pages in large.items():
        assert pages <= 2 * small[words] + 50
        if words.startswith("SELECT"):
            assert pages <= 4 * DUE + 50, words
