"""The broker loses everything it has, or is away: that costs time for mails, and nothing else."""

from aftersales.health.models import TaskRun
from tests.faults import invariants, population
from tests.faults.clients import Load, Shop
from tests.faults.harness import Scene, until, value
from tests.faults.mails import write_mails
from tests.messaging.stubs import MailServer

SLA, MAIL, BEAT, WEB = "worker-sla", "worker-mail", "beat", "web"
OUTAGE = 15.0


def test_a_flushed_broker_loses_nothing_though_beat_alone_drives(
    stage: Scene, mail_server: MailServer
) -> None:
    portal = stage.portal
    portal.start(SLA, MAIL, BEAT, SLA_TICKER="false")
    population.gather(150, seconds=25)
    flags = [invariants.more_flags(10, "the start")]
    lost = 0
    for _ in range(3):
        write_mails(20)
        lost += stage.ground.flush_broker()
        flags.append(invariants.more_flags(invariants.flags(), "the flush"))
    assert lost, "there was nothing in the broker"
    until(lambda: not invariants.pending("mail"), "the end of the outbox")
    until(lambda: invariants.overdue_by() < 3, "the end of the backlog")
    portal.require_alive()
    portal.end()
    invariants.assert_nothing_lost_or_double()
    invariants.assert_mails_arrived(mail_server.message_ids(), kills=0)
    stage.tell(f"flushed 3 times, {lost} messages lost, flags {flags}; {invariants.lateness()}")


def test_a_stopped_broker_stops_neither_flags_nor_reports(
    stage: Scene, mail_server: MailServer
) -> None:
    portal, ground = stage.portal, stage.ground
    portal.start(WEB, SLA, MAIL, BEAT)
    shop = Shop(portal.port, population.shop_key())
    shop.wait_until_live()
    population.gather(150, seconds=30)
    invariants.more_flags(10, "the start")
    load = Load(shop)
    with load.running(1, pause=0.2):
        until(lambda: load.taken, "the first case")
        ground.kill_broker()
        stopped_at, before = value("SELECT clock_timestamp()"), invariants.flags()
        taken = len(load.taken)
        write_mails(20)
        half = f"SELECT clock_timestamp() > %s + interval '{OUTAGE / 2} seconds'"
        until(lambda: value(half, stopped_at), "half of the outage")
        during = invariants.flags()
        whole = f"SELECT clock_timestamp() > %s + interval '{OUTAGE} seconds'"
        until(lambda: value(whole, stopped_at), "the whole outage")
        after, taken_meanwhile = invariants.flags(), len(load.taken) - taken
        assert before < during < after, "the ticker stood still"
        assert taken_meanwhile > 10
        assert set(load.statuses) == {201}, "a report was refused or cut"
        behind = invariants.overdue_by()
        ground.start_broker()
        back_at = value("SELECT clock_timestamp()")
        for task in ("tickets.tasks.scan_sla_clocks", "aftersales.messaging.tasks.relay_mail"):
            again = TaskRun.objects.filter(name=task, succeeded_at__gt=back_at)
            until(again.exists, f"{task} asked for by beat again")
    until(lambda: not invariants.pending("mail"), "the end of the outbox")
    until(lambda: invariants.overdue_by() < 2, "the end of the backlog")
    portal.require_alive()
    portal.end()
    assert "throttle_fails_open" in portal.log(WEB)
    load.assert_nothing_lost_or_double()
    invariants.assert_nothing_lost_or_double()
    invariants.assert_mails_arrived(mail_server.message_ids(), kills=0)
    stage.tell(
        f"broker away {OUTAGE:g} s: flags before {before}, half-way {during}, at the end {after}, "
        f"{behind:.1f} s behind; {taken_meanwhile} reports taken, slowest {load.slowest:.2f} s; "
        f"{invariants.lateness()}"
    )
