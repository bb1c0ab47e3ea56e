"""Mails as the portal writes them into its outbox, and two moments on their way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from aftersales.common import dbtime
from aftersales.messaging import codes, outbox
from aftersales.messaging.models import Code
from tests.faults import population
from tests.faults.harness import GLANCE, PATIENCE, until
from tests.messaging.stubs import MailServer


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


@contextmanager
def held_before_taking(server: MailServer) -> Iterator[None]:
    """Somebody has connected to send, and the server does not answer until the block ends."""
    server.mood, seen = "hang", server.connections
    try:
        until(lambda: server.connections > seen, "a mail on its way", every=GLANCE)
        yield
    finally:
        server.mood = "ok"


@contextmanager
def held_before_answering(server: MailServer) -> Iterator[None]:
    """The server has taken a mail, and does not say so until the block ends."""
    before, taken, go_on = server.before_answer, threading.Event(), threading.Event()

    def hold() -> None:
        taken.set()
        go_on.wait(PATIENCE)

    server.before_answer = hold
    try:
        until(taken.is_set, "a mail that was taken", every=GLANCE)
        yield
    finally:
        server.before_answer = before
        go_on.set()


MOMENTS = (held_before_taking, held_before_answering)
