"""Sweeps and relays that are killed in the middle of their work, again and again."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from itertools import cycle, islice
from typing import Any

import pytest

from aftersales.messaging import codes, relay, topics
from aftersales.messaging.drafts import Draft, MailDraft, NoticeDraft, UserRef
from aftersales.messaging.models import Notice, Outbox
from tests.faults import invariants, population
from tests.faults.agents import Agents
from tests.faults.harness import GLANCE, Scene, until, was_rolled_back, writing
from tests.faults.mails import MOMENTS
from tests.messaging.stubs import MailServer
from tickets import clocks
from tickets.clocks.rows import TOPIC
from tickets.models import Event

SWEEP, EXPAND, MAIL = "fork-sweep", "fork-expand", "fork-mail"
VICTIMS = [SWEEP, EXPAND, SWEEP, MAIL, SWEEP]
KILLS, IN_THE_MIDDLE, AT_MOST = 15, 8, 100


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each breach tells the agent by one mail and one notice; leases end soon after a death."""

    def expand(payload: Mapping[str, Any]) -> list[Draft]:
        event = Event.objects.get(pk=payload["event"])
        if event.stage != "0" or event.params["kind"] != "response":
            return []
        agent = population.person(population.AGENT).pk
        params = {"event": event.pk}
        return [
            MailDraft(UserRef(agent), codes.TEMPLATE, params),
            NoticeDraft(agent, "faults.breach", params),
        ]

    monkeypatch.setattr(topics, "_topics", dict(topics._topics))
    monkeypatch.setattr(topics, "_contexts", dict(topics._contexts))
    topics.register(TOPIC, expand=expand)
    topics.register_template(codes.TEMPLATE, lambda params: {"code": params["event"], "minutes": 1})
    monkeypatch.setattr(relay, "EXPANSION_LEASE", timedelta(seconds=1))
    monkeypatch.setattr(relay, "DELIVERY_LEASE", timedelta(seconds=1))
    monkeypatch.setattr(relay, "SCHEDULE", [timedelta(0)] * 40)
    monkeypatch.setattr(relay, "BATCH", 20)


def test_15_killed_sweeps_and_relays_lose_nothing_and_double_nothing(
    stage: Scene, told: None, mail_server: MailServer
) -> None:
    ids = population.gather(250, seconds=15)
    flags, aborted, mail_kills, moments = [invariants.flags()], 0, 0, cycle(MOMENTS)
    with stage.forks() as forks:
        agents = [forks.start("fork-agent", Agents(ids).act, pause=0.02) for _ in range(2)]
        work = {
            SWEEP: clocks.sweep,
            EXPAND: lambda: relay.relay_fan_out(seconds=1),
            MAIL: lambda: relay.relay_deliveries("mail", seconds=1),
        }
        victims = {name: [forks.start(name, does)] for name, does in work.items()}
        victims[SWEEP].append(forks.start(SWEEP, clocks.sweep))
        flags.append(invariants.more_flags(30, "the start"))
        until(lambda: mail_server.messages, "the first mail")
        for name in islice(cycle(VICTIMS), AT_MOST):
            if forks.kills >= KILLS and aborted >= IN_THE_MIDDLE:
                break
            fork = victims[name].pop(0)
            if name == MAIL:
                with next(moments)(mail_server):
                    forks.kill(fork)
                mail_kills += 1
            else:
                backend = until(partial(writing, name), f"work of {name}", every=GLANCE)
                forks.kill(fork)
                aborted += was_rolled_back(backend)
            victims[name].append(forks.start(name, work[name]))
            flags.append(invariants.more_flags(flags[-1], "a kill"))
        kills = forks.kills
        assert kills >= KILLS
        assert aborted >= IN_THE_MIDDLE, "hardly a victim was in the middle of its work"
        assert sum(forks.work_of(agent) for agent in agents) > 20, "nobody worked"
        flags.append(invariants.more_flags(flags[-1] + 50, "the last kill"))
        until(lambda: invariants.overdue_by() < 1, "the end of the backlog")
        for fork in [*agents, *victims[SWEEP]]:
            forks.kill(fork)
        until(lambda: not invariants.pending(TOPIC, "mail"), "the end of the outbox")
    invariants.assert_nothing_lost_or_double()
    breaches = Event.objects.filter(stage="0", params__kind="response")
    once = dict.fromkeys(breaches.values_list("pk", flat=True), 1)
    told_by_notice = Notice.objects.filter(event_key="faults.breach")
    assert Counter(told_by_notice.values_list("params__event", flat=True)) == once
    mails = Outbox.objects.filter(topic="mail").values_list("payload__params__event", flat=True)
    assert Counter(mails) == once
    duplicates = invariants.assert_mails_arrived(mail_server.message_ids(), kills=mail_kills)
    stage.tell(
        f"killed {kills}, in mid-transaction {aborted}, with a mail in hand {mail_kills}, "
        f"flags {flags}; {invariants.lateness()}; {len(once)} breaches, "
        f"raw duplicate mails {duplicates}"
    )
