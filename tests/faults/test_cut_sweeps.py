"""The sweep's connection to the database, cut in the middle of its transaction."""

from tests.faults import invariants, population
from tests.faults.harness import GLANCE, Scene, terminate, until, waiting, was_rolled_back

SLA = "worker-sla"
EVENTS = "tickets_event"  # written near the end of every transaction that changes a case


def test_3_cut_sweeps_lose_nothing_and_double_nothing(stage: Scene) -> None:
    portal = stage.portal
    portal.start(SLA)
    population.gather(150, seconds=25)
    flags = [invariants.more_flags(10, "the start")]
    pid, rolled_back = portal.pid(SLA), 0
    for _ in range(3):
        with stage.barrier(EVENTS):
            backend = until(lambda: waiting(SLA), "a sweep before the barrier", every=GLANCE)
            before = invariants.flags()
            terminate(backend)
        rolled_back += was_rolled_back(backend)
        flags.append(invariants.more_flags(before, "a cut"))
    until(lambda: invariants.overdue_by() < 2, "the end of the backlog")
    portal.require_alive()
    assert portal.pid(SLA) == pid, "the worker went on by itself"
    assert rolled_back == 3
    portal.end()
    invariants.assert_nothing_lost_or_double()
    stage.tell(f"cut 3 sweeps, all rolled back, flags {flags}; {invariants.lateness()}")
