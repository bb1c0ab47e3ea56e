"""Who flags a missed deadline: each driver alone suffices, and readers wait for none of them."""

import pytest
from django.test import Client

from aftersales.health.models import TaskRun
from tests.faults import invariants, population
from tests.faults.harness import Scene, until, value
from tickets.models import Clock, Event, Ticket

SLA, BEAT = "worker-sla", "beat"
CASES = 20
LATE = "SELECT count(*) FROM tickets_clock WHERE kind = 'response' AND breached_at IS NOT NULL"


def assert_all_flagged(stage: Scene, driver: str) -> None:
    """Every first answer of the cases was missed, and that is told once each."""
    ids = population.gather(CASES, seconds=2)
    assert invariants.flags() == 0
    until(lambda: value(LATE) == len(ids), "all flags", seconds=30, every=0.2)
    stage.portal.require_alive()
    stage.portal.end()
    invariants.assert_nothing_lost_or_double()
    breaches = Event.objects.filter(name="clock.breached", params__kind="response")
    assert sorted(breaches.values_list("ticket", flat=True)) == sorted(ids)
    told = "SELECT count(*) FROM messaging_outbox WHERE dedupe_key = ANY(%s)"
    assert value(told, [f"event:{pk}" for pk in breaches.values_list("pk", flat=True)]) == len(ids)
    stage.tell(f"flagged by {driver}: {len(ids)} of {len(ids)} once; {invariants.lateness()}")


def scans() -> int:
    """1 as soon as a worker has done the task that beat asks for."""
    return TaskRun.objects.filter(
        name__endswith="scan_sla_clocks", succeeded_at__isnull=False
    ).count()


def test_worker_and_beat_flag_it(stage: Scene) -> None:
    stage.portal.start(SLA, BEAT)
    until(scans, "a scan that beat asked for")
    assert_all_flagged(stage, "worker and beat")


def test_the_worker_alone_flags_it_with_the_broker_stopped(stage: Scene) -> None:
    stage.ground.kill_broker()
    stage.portal.start(SLA)
    assert_all_flagged(stage, "the worker without a broker")
    assert not scans()


def test_beat_flags_it_with_the_ticker_off(stage: Scene) -> None:
    stage.portal.start(SLA, BEAT, SLA_TICKER="false")
    # What beat asks for at its start flags none of them yet.
    until(scans, "a scan that beat asked for")
    assert_all_flagged(stage, "beat without the ticker")


def test_without_beat_and_ticker_nobody_flags_it(stage: Scene) -> None:
    """So the other tests do prove that it was their driver."""
    stage.portal.start(SLA, SLA_TICKER="false")
    population.gather(CASES, seconds=1)
    until(lambda: "ready" in stage.portal.log(SLA), "the worker")
    until(lambda: invariants.overdue_by() > 3, "three more seconds")
    stage.portal.require_alive()
    assert invariants.flags() == 0


@pytest.mark.parametrize("name", [population.AGENT, population.SHOP])
def test_the_api_shows_it_overdue_at_once_with_all_of_them_stopped(stage: Scene, name: str) -> None:
    stage.ground.kill_broker()
    is_shop = name == population.SHOP
    key = population.shop_key() if is_shop else population.staff_key(name)
    http = Client(headers={"Authorization": f"Bearer {key}"})
    (ticket_id,) = population.gather(1, seconds=1)
    if is_shop:
        population.give_to_shop(ticket_id)
    ticket = Ticket.objects.get(pk=ticket_id)
    clock = Clock.objects.get(ticket=ticket, kind="response")
    until(lambda: value("SELECT clock_timestamp() > %s", clock.due_at), "the deadline", every=0.01)
    path = f"/api/v1/tickets/{ticket.public_id}/"
    case = http.get(path).json()
    listed = http.get("/api/v1/tickets/", {"overdue": "true"}).json()["results"]
    phases = {row["kind"]: (row["phase"], row["breached_at"]) for row in case["clocks"]}
    assert phases["response"] == ("overdue", None)
    assert case["overdue"] is True
    assert [row["id"] for row in listed] == [str(ticket.public_id)]
    assert invariants.flags() == 0
