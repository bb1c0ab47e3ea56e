"""Reports by REST whose connection is cut, to the database or to the client, and repeated."""

import threading
from collections.abc import Iterator

import pytest

from tests.faults import invariants, population
from tests.faults.clients import Answer, Shop
from tests.faults.conftest import open_stage
from tests.faults.harness import (
    GLANCE,
    PATIENCE,
    Scene,
    idle,
    terminate,
    until,
    waiting,
    was_rolled_back,
)
from tickets.models import Ticket

WEB = "web"
EVENTS = "tickets_event"  # written near the end of every transaction that changes a case


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """One web server for all tests here; each has its own references."""
    with open_stage(request) as found:
        found.portal.start(WEB)
        yield found


@pytest.fixture(scope="module")
def shop(stage: Scene) -> Shop:
    shop = Shop(stage.portal.port, population.shop_key())
    shop.wait_until_live()
    return shop


class Reporting:
    """One report under way, in a thread."""

    def __init__(self, shop: Shop, ref: str) -> None:
        self._answers: list[Answer] = []
        self._thread = threading.Thread(target=lambda: self._answers.append(shop.report(ref)))
        self._thread.start()

    def answer(self) -> Answer:
        self._thread.join(PATIENCE)
        (answer,) = self._answers
        return answer


def test_2_cut_reports_are_one_case_each_when_they_are_repeated(stage: Scene, shop: Shop) -> None:
    for ref in ("cut-1", "cut-2"):
        with stage.barrier(EVENTS):
            reporting = Reporting(shop, ref)
            backend = until(lambda: waiting(WEB), "a report before the barrier", every=GLANCE)
            terminate(backend)
        answer = reporting.answer()
        assert was_rolled_back(backend)
        assert (answer.status, answer.body["code"]) == (503, "unavailable")
        assert not Ticket.objects.filter(external_ref=ref).exists()
        first, second = shop.report(ref), shop.report(ref)
        assert (first.status, first.replayed, second.status, second.replayed) == (
            201,
            False,
            201,
            True,
        )
        assert first.body == second.body
        assert str(Ticket.objects.get(external_ref=ref).public_id) == first.body["id"]
    invariants.assert_nothing_lost_or_double()


def test_an_idle_connection_that_was_cut_is_not_noticed_by_the_next_report(
    stage: Scene, shop: Shop
) -> None:
    assert [shop.report(f"before-{n}").status for n in range(8)] == [201] * 8
    cut = 0
    while backend := idle(WEB):
        terminate(backend)
        cut += 1
    assert cut, "no connection was kept"
    assert [shop.report(f"after-{n}").status for n in range(8)] == [201] * 8


def test_a_report_whose_sender_hung_up_is_one_case_when_it_is_repeated(
    stage: Scene, shop: Shop
) -> None:
    with stage.barrier(EVENTS):
        with shop.send_and_hang_up("hung-up"):
            until(lambda: waiting(WEB), "a report before the barrier", every=GLANCE)
        # The line is cut, the work goes on: the repetition waits for it.
        repeating = Reporting(shop, "hung-up")
        assert not Ticket.objects.filter(external_ref="hung-up").exists()
    answer = repeating.answer()
    ticket = Ticket.objects.get(external_ref="hung-up")
    assert (answer.status, answer.replayed) == (201, True)
    assert answer.body["id"] == str(ticket.public_id)
    invariants.assert_nothing_lost_or_double()
