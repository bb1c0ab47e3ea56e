"""Mails as the portal writes them into its outbox."""

from datetime import timedelta

from aftersales.common import dbtime
from aftersales.messaging import codes, outbox
from aftersales.messaging.models import Code
from tests.faults import population


def write_mails(count: int) -> None:
    """One-time codes to the agent; they are good for longer than any test takes."""
    now = dbtime.database_now()
    agent = f"user:{population.person(population.AGENT).pk}"
    for number in range(count):
        code = Code.objects.create(
            purpose="faults",
            subject=str(number),
            holder=agent,
            key_id="l1",
            expires_at=now + timedelta(minutes=10),
        )
        payload = {"template": codes.TEMPLATE, "params": {"code": code.pk}}
        outbox.write("mail", f"faults:{code.pk}", payload, recipient=agent)
