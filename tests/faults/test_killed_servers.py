"""The web server killed under load, and the database: every 201 that a client saw is kept."""

from tests.faults import invariants, population
from tests.faults.clients import Load, Shop
from tests.faults.harness import GLANCE, Scene, until, writing

WEB, SLA = "web", "worker-sla"


def test_a_killed_web_server_keeps_every_report_that_it_confirmed(stage: Scene) -> None:
    portal = stage.portal
    portal.start(WEB)
    shop = Shop(portal.port, population.shop_key())
    shop.wait_until_live()
    load, taken = Load(shop), []
    with load.running(4):
        for _ in range(3):
            load.wait_for_more(20)
            until(lambda: writing(WEB), "a report in hand", every=GLANCE)
            portal.kill(WEB)
            taken.append(len(load.taken))
            portal.start(WEB)
        load.wait_for_more(20)
    portal.end()
    assert len(load.repeated) >= 3, "no report was cut off"
    load.assert_nothing_lost_or_double()
    invariants.assert_nothing_lost_or_double()
    stage.tell(
        f"killed the web server 3 times, after {taken} cases of {len(load.taken)}; "
        f"{len(load.repeated)} repeated, {load.replays} of them had been stored: {load.statuses}"
    )


def test_a_crashed_database_keeps_what_it_confirmed_and_is_found_again(stage: Scene) -> None:
    portal, ground = stage.portal, stage.ground
    portal.start(WEB, SLA)
    shop = Shop(portal.port, population.shop_key())
    shop.wait_until_live()
    population.gather(150, seconds=20)
    invariants.more_flags(10, "the start")
    load = Load(shop)
    with load.running(3):
        load.wait_for_more(20)
        until(lambda: writing(SLA) or writing(WEB), "work in hand", every=GLANCE)
        ground.crash_postgres()
        taken = len(load.taken)
        ground.start_postgres()
        flags = invariants.flags()
        invariants.more_flags(flags, "the crash")
        load.wait_for_more(20)
    until(lambda: invariants.overdue_by() < 2, "the end of the backlog")
    portal.require_alive()
    portal.end()
    assert load.repeated, "no report was cut off"
    load.assert_nothing_lost_or_double()
    invariants.assert_nothing_lost_or_double()
    stage.tell(
        f"crashed the database after {flags} flags and {taken} cases of {len(load.taken)}; "
        f"{len(load.repeated)} repeated: {load.statuses}; {invariants.lateness()}"
    )
