"""Celery's real processes, killed with everything they started, and started again."""

from datetime import timedelta

from aftersales.common import dbtime
from aftersales.messaging import codes, outbox
from aftersales.messaging.models import Code
from tests.faults import invariants, population
from tests.faults.harness import Scene, until, value, was_rolled_back, writing
from tests.messaging.stubs import MailServer

SLA, MAIL, DEFAULT, BEAT = "worker-sla", "worker-mail", "worker-default", "beat"
IN_HAND = "SELECT count(*) FROM messaging_outbox WHERE lease IS NOT NULL AND topic = 'mail'"
# The dead hold their leases for up to 75 s; the test does not wait for that.
END_LEASES = """
    WITH ended AS (
        UPDATE messaging_outbox SET available_at = clock_timestamp() - interval '1 second'
        WHERE lease IS NOT NULL AND sent_at IS NULL RETURNING id
    ) SELECT count(*) FROM ended
"""


def write_mails(count: int) -> None:
    """Mails to the agent, as the portal would write them."""
    now = dbtime.database_now()
    agent = f"user:{population.person(population.AGENT).pk}"
    for number in range(count):
        code = Code.objects.create(
            purpose="faults", subject=str(number), holder=agent, key_id="l1",
            expires_at=now + timedelta(minutes=10),
        )  # fmt: skip
        payload = {"template": codes.TEMPLATE, "params": {"code": code.pk}}
        outbox.write("mail", f"faults:{code.pk}", payload, recipient=agent)


def test_5_killed_worker_groups_lose_nothing_and_double_nothing(
    stage: Scene, mail_server: MailServer
) -> None:
    portal = stage.portal
    mail_server.before_answer = lambda: None
    portal.start(SLA, MAIL, DEFAULT, BEAT)
    population.gather(200, seconds=40)
    write_mails(150)
    flags = [until(lambda: invariants.flags() > 20 and invariants.flags(), "the first flags")]
    until(lambda: mail_server.messages, "the first mails")
    rolled_back, in_hand = 0, 0
    for name in (SLA, MAIL, SLA, DEFAULT, SLA):
        if name == MAIL:
            write_mails(150)
            until(lambda: value(IN_HAND), "a mail in hand", every=0.001)
            portal.kill(name)
            in_hand += value(END_LEASES)
        else:
            backend = until(lambda name=name: writing(name), f"work of {name}", every=0.001)
            portal.kill(name)
            rolled_back += was_rolled_back(backend)
        portal.start(name)
        seen = invariants.flags()
        until(lambda seen=seen: invariants.flags() > seen, f"flags after the death of {name}")
        flags.append(invariants.flags())
    write_mails(20)
    until(lambda: not invariants.pending("mail"), "the end of the outbox")
    until(lambda: invariants.overdue_by() < 2, "the end of the backlog")
    portal.require_alive()
    portal.end()
    assert portal.kills == 5
    assert in_hand, "the mail worker had nothing in hand"
    assert rolled_back, "no worker was in the middle of its work"
    invariants.assert_nothing_lost_or_double()
    duplicates = invariants.assert_mails_arrived(mail_server.message_ids(), kills=1)
    print(
        f"killed 5 groups, in mid-transaction {rolled_back}, with a mail in hand {in_hand}, "
        f"flags {flags}; {invariants.lateness()}; raw duplicate mails {duplicates}"
    )
