"""How many statements a call sends: pinned, and the same for one row and for a hundred."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role
from bench import population
from tests.factories import intake_team, make_report, make_staff_client, staff_actor
from tests.openapi import RestClient
from tests.tickets.conftest import Moment
from tickets import workflow
from tickets.models import Ticket


def statements(work: Callable[[], object]) -> int:
    work()  # policy and calendar are read once by a process
    frames = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")
    with CaptureQueriesContext(connection) as captured:
        work()
    return sum(not query["sql"].startswith(frames) for query in captured)


@pytest.fixture
def owner(moment: Moment) -> Actor:
    intake_team()
    return staff_actor(Role.AGENT, Role.SUPERVISOR)


@pytest.fixture
def ticket(owner: Actor) -> Ticket:
    assert owner.user is not None
    ticket = workflow.take_in(make_report(), by=owner).ticket
    workflow.assign_ticket(ticket.pk, owner_id=owner.user.pk, by=owner)
    return ticket


@pytest.fixture
def staff(owner: Actor) -> RestClient:
    assert owner.user is not None
    return RestClient(make_staff_client(owner.user))


def test_a_list_costs_the_same_for_one_case_and_a_hundred(
    staff: RestClient, ticket: Ticket
) -> None:
    one = statements(lambda: staff.get("/api/v1/tickets/", limit=100))
    population.copy_case(ticket, 100)
    assert len(staff.get("/api/v1/tickets/", limit=100).json()["results"]) == 100  # type: ignore[attr-defined]
    assert statements(lambda: staff.get("/api/v1/tickets/", limit=100)) == one
    # the key, the page; the moment is pinned in this test and costs one statement otherwise
    assert one == 2


@pytest.mark.parametrize(("path", "pinned"), [("messages", 3), ("events", 3)])
def test_what_was_said_and_done_costs_the_same_for_one_and_a_hundred(
    staff: RestClient, ticket: Ticket, owner: Actor, path: str, pinned: int
) -> None:
    url = f"/api/v1/tickets/{ticket.public_id}/{path}/"
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=owner)
    assert statements(lambda: staff.get(url, limit=100)) == pinned
    for _ in range(100):
        workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=owner)
    assert len(staff.get(url, limit=100).json()["results"]) == 100  # type: ignore[attr-defined]
    assert statements(lambda: staff.get(url, limit=100)) == pinned


def test_a_case_costs_the_same_with_one_clock_and_a_hundred(
    staff: RestClient, ticket: Ticket
) -> None:
    url = f"/api/v1/tickets/{ticket.public_id}/"
    one = statements(lambda: staff.get(url))
    model = ticket.clocks.first()
    assert model is not None
    for number in range(100):
        model.pk, model.subject = None, str(number)
        model.save(force_insert=True)
    assert statements(lambda: staff.get(url)) == one == 5


def test_the_cost_of_every_step_is_pinned(
    moment: Moment, staff: RestClient, ticket: Ticket, owner: Actor
) -> None:
    """Statements of the whole call, key and replay guard included."""
    url = f"/api/v1/tickets/{ticket.public_id}/"
    found = {}
    for step, body in {
        "start": {},
        "messages": {"body": "您好"},
        "wait": {"reason": "customer"},
        "resume": {},
        "grade": {"level": "general"},
        "resolve": {"resolution": "已更换"},
        "close": {},
        "reopen": {"reason": "仍不亮"},
        "cancel": {"reason": "误报"},
    }.items():
        with CaptureQueriesContext(connection) as captured:
            answer = staff.post(f"{url}{step}/", body)
        assert answer.status_code in (200, 201), answer.content
        frames = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")
        found[step] = sum(not query["sql"].startswith(frames) for query in captured)
    assert found == {
        "start": 14,
        "messages": 11,
        "wait": 16,
        "resume": 16,
        "grade": 19,
        "resolve": 17,
        "close": 17,
        "reopen": 17,
        "cancel": 17,
    }
