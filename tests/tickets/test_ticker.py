"""The ticker's own wiring; that a real worker ticks without a broker is shown in tests/faults."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import WorkController
from django.test import override_settings

from aftersales.celery import SCHEDULE, app
from aftersales.messaging import relay
from tickets import clocks, tasks, ticker


def worker(*queues: str) -> Any:
    """As much of a worker as a step asks for."""
    consumed = SimpleNamespace(consume_from=dict.fromkeys(queues))
    return SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues=consumed)))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It ticks as fast as it can, and no thread of it is left."""
    monkeypatch.setattr(ticker, "EVERY", 0.001)
    yield
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("sla-")]


def test_a_worker_finds_the_step_by_its_name() -> None:
    assert "tickets.ticker:Ticker" in app.steps["worker"]
    blueprint = WorkController.Blueprint(steps=app.steps["worker"])
    assert ticker.Ticker in blueprint.claim_steps().values()


@pytest.mark.parametrize(
    ("queues", "switch", "ticks"),
    [
        (["sla"], True, True),
        (["default", "sla"], True, True),
        (["mail"], True, False),
        (["sla"], False, False),
    ],
)
def test_it_ticks_in_workers_of_its_queue_unless_switched_off(
    queues: list[str], switch: bool, ticks: bool
) -> None:
    with override_settings(SLA_TICKER=switch):
        assert ticker.Ticker(worker(*queues)).include_if(None) is ticks


@pytest.mark.usefixtures("quick")
def test_a_failing_sweep_neither_ends_its_own_ticks_nor_the_relays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swept, relayed = threading.Semaphore(0), threading.Semaphore(0)

    def fail() -> None:
        swept.release()
        raise ConnectionError("cut")

    monkeypatch.setattr(clocks, "sweep", fail)
    monkeypatch.setattr(relay, "relay_fan_out", relayed.release)
    step = ticker.Ticker(worker("sla"))
    step.start(None)
    try:
        for _ in range(3):
            assert swept.acquire(timeout=10)
            assert relayed.acquire(timeout=10)
    finally:
        step.stop(None)


@pytest.mark.usefixtures("quick")
def test_a_relay_that_hangs_never_holds_up_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    swept, hang = threading.Semaphore(0), threading.Event()
    monkeypatch.setattr(clocks, "sweep", swept.release)
    monkeypatch.setattr(relay, "relay_fan_out", lambda: hang.wait(10))
    step = ticker.Ticker(worker("sla"))
    step.start(None)
    try:
        for _ in range(3):
            assert swept.acquire(timeout=10)
    finally:
        hang.set()
        step.stop(None)


def test_beat_calls_the_same_sweep_as_the_second_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(clocks, "sweep", lambda: called.append("sweep"))
    tasks.scan_sla_clocks()
    assert called == ["sweep"]
    assert ("tickets.tasks.scan_sla_clocks", 1.0, "sla") in SCHEDULE.values()
