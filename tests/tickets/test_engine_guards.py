"""What stands behind the engine's code: constraints, triggers, and how it asks for its locks."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from aftersales.accounts.models import Role
from aftersales.common import dbtime
from tests.factories import make_ticket, make_user
from tests.tickets.conftest import Moment
from tests.tickets.promises import clock_of
from tests.tickets.races import Runner, wait_until_blocked
from tickets import clocks
from tickets.models import Event, Explanation, PolicyVersion, Ticket


@pytest.fixture
def late(moment: Moment) -> Ticket:
    """A case whose first response is overdue, flagged, and to be explained."""
    ticket = make_ticket()
    moment("2026-11-20 15:31")
    clocks.sweep()
    return ticket


def test_the_database_refuses_the_same_stage_of_the_same_deadline_twice(late: Ticket) -> None:
    breach = late.events.get(name="clock.breached", params__kind="response")
    breach.pk = None
    with pytest.raises(IntegrityError, match="tickets_event_stage_once"), transaction.atomic():
        breach.save(force_insert=True)


@pytest.mark.parametrize(
    "change", ["UPDATE tickets_event SET at = now()", "DELETE FROM tickets_event"]
)
def test_the_database_changes_no_event(late: Ticket, change: str) -> None:
    before = list(Event.objects.order_by("pk").values())
    with (
        connection.cursor() as cursor,
        pytest.raises(DatabaseError, match="Cannot"),
        transaction.atomic(),
    ):
        cursor.execute(change)
    assert list(Event.objects.order_by("pk").values()) == before


def test_the_database_refuses_a_second_explanation_of_one_breach(late: Ticket) -> None:
    asked = Explanation.objects.get(ticket=late)
    asked.pk, asked.number = None, 2
    with pytest.raises(IntegrityError, match="once_a_breach"), transaction.atomic():
        asked.save(force_insert=True)


def test_the_database_refuses_a_signature_by_the_author(late: Ticket, moment: Moment) -> None:
    manager = make_user(Role.MANAGER)
    signed: dict[str, Any] = {"state": "signed", "signed_at": moment.now, "author": manager}
    explanations = Explanation.objects.filter(ticket=late)
    with pytest.raises(IntegrityError, match="two_people"), transaction.atomic():
        explanations.update(**signed, signer=manager)
    assert explanations.update(**signed, signer=make_user(Role.MANAGER)) == 1


def test_the_sweep_asks_for_its_locks_by_the_tickets_own_column(late: Ticket) -> None:
    """SKIP LOCKED judges a row as it is now, but rows of other tables as they were before."""
    with CaptureQueriesContext(
        connection,
    ) as asked:
        clocks.sweep()
    (locking,) = [query["sql"] for query in asked if "SKIP LOCKED" in query["sql"]]
    condition = locking.partition(" WHERE ")[2].partition(" ORDER BY ")[0]
    assert condition.startswith('"tickets_ticket"."wake_at" < ')
    assert "SELECT" not in condition
    assert "JOIN" not in locking


@pytest.mark.django_db(transaction=True)
def test_whoever_waited_for_a_case_reads_the_time_after_the_wait(maker: PolicyVersion) -> None:
    """Else whoever comes second would work at a time before that of the first."""
    ticket = make_ticket()

    def look() -> datetime:
        with clocks.open_case(ticket.pk) as case:
            return case.now

    with transaction.atomic():
        Ticket.objects.select_for_update().get(pk=ticket.pk)
        second = Runner(look)
        wait_until_blocked(second)
        while_waiting = dbtime.database_now()
    assert second.outcome() > while_waiting


def test_the_breach_of_a_promise_stands_at_its_deadline_and_nowhere_else(late: Ticket) -> None:
    clock = clock_of(late, "response")
    moved = late.clocks.filter(pk=clock.pk)
    with pytest.raises(IntegrityError, match="breached_at_its_deadline"), transaction.atomic():
        moved.update(breached_at=clock.due_at + timedelta(seconds=1))
