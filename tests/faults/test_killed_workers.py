"""Celery's real processes, killed with everything they started, and started again."""

from functools import partial

from tests.faults import invariants, population
from tests.faults.harness import GLANCE, Scene, until, value, was_rolled_back, writing
from tests.faults.mails import MOMENTS, write_mails
from tests.messaging.stubs import MailServer

SLA, MAIL, DEFAULT, BEAT = "worker-sla", "worker-mail", "worker-default", "beat"
UNTOLD = """
    SELECT count(*) FROM messaging_outbox WHERE topic = 'tickets.event' AND sent_at IS NULL
        AND created_at < clock_timestamp() - interval '3 seconds'
"""
# The dead hold their leases for up to 75 s; the test does not wait for that.
END_LEASES = """
    WITH ended AS (
        UPDATE messaging_outbox SET available_at = clock_timestamp() - interval '1 second'
        WHERE lease IS NOT NULL AND sent_at IS NULL RETURNING id
    ) SELECT count(*) FROM ended
"""


def test_5_killed_worker_groups_lose_nothing_and_double_nothing(
    stage: Scene, mail_server: MailServer
) -> None:
    portal = stage.portal
    portal.start(SLA, MAIL, DEFAULT, BEAT)
    population.gather(200, seconds=40)
    write_mails(20)
    flags = [invariants.more_flags(20, "the start")]
    until(lambda: mail_server.messages, "the first mails")
    rolled_back, in_hand, moments = 0, 0, iter(MOMENTS)
    for name in (SLA, MAIL, SLA, DEFAULT, MAIL):
        if name == MAIL:
            write_mails(20)
            with next(moments)(mail_server):
                portal.kill(name)
            in_hand += value(END_LEASES)
        else:
            backend = until(partial(writing, name), f"work of {name}", every=GLANCE)
            portal.kill(name)
            rolled_back += was_rolled_back(backend)
        portal.start(name)
        flags.append(invariants.more_flags(invariants.flags(), f"the death of {name}"))
    write_mails(20)
    until(lambda: not invariants.pending("mail"), "the end of the outbox")
    until(lambda: invariants.overdue_by() < 2, "the end of the backlog")
    until(lambda: not value(UNTOLD), "the expansion of every event")
    portal.require_alive()
    portal.end()
    assert portal.kills == 5
    assert in_hand >= 2, "the mail workers had nothing in hand"
    assert rolled_back, "no worker was in the middle of its work"
    invariants.assert_nothing_lost_or_double()
    duplicates = invariants.assert_mails_arrived(mail_server.message_ids(), kills=2)
    stage.tell(
        f"killed 5 groups, in mid-transaction {rolled_back}, with mails in hand {in_hand}, "
        f"flags {flags}; {invariants.lateness()}; raw duplicate mails {duplicates}"
    )
