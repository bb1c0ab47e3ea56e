"""The engine on real rows: promises opened, settled, met, paused, regraded."""

import pytest

from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role
from aftersales.messaging.models import Outbox
from tests.factories import make_report, make_ticket, staff_actor
from tests.tickets.conftest import Moment, at
from tickets import clocks, workflow
from tickets.models import Clock, Event, Explanation, Ticket
from tickets.sla import Phase


def clock_of(ticket: Ticket, kind: str, cycle: int = 1) -> Clock:
    return ticket.clocks.get(kind=kind, subject="", cycle=cycle)


def take(ticket: Ticket, owner: Actor) -> None:
    assert owner.user is not None
    workflow.assign_ticket(ticket.pk, owner_id=owner.user.pk, by=owner)


def test_it_opens_the_promises_of_the_level(moment: Moment) -> None:
    ticket = make_ticket()
    assert {clock.kind: clock.due_at for clock in ticket.clocks.all()} == {
        "acknowledge": at("2026-11-20 10:10"),
        "response": at("2026-11-20 15:30"),
        "resolution": at("2026-11-27 17:30"),
    }
    assert ticket.next_due_at == at("2026-11-20 10:10")
    assert ticket.wake_at == at("2026-11-20 10:08")


def test_it_flags_a_breach_once_at_its_true_time(moment: Moment) -> None:
    ticket = make_ticket()
    moment("2026-11-20 15:31")
    assert clocks.sweep() == 1
    assert clocks.sweep() == 0
    breach = ticket.events.get(name="clock.breached", params__kind="response")
    assert breach.at == at("2026-11-20 15:30")
    assert clock_of(ticket, "response").breached_at == at("2026-11-20 15:30")
    assert Outbox.objects.filter(dedupe_key=f"event:{breach.pk}").count() == 1
    explanation = Explanation.objects.get(ticket=ticket)
    assert explanation.clock.kind == "response"
    assert ticket.clocks.get(kind="explanation").due_at == at("2026-11-23 17:30")


def test_after_an_outage_every_stage_has_its_own_time_and_only_the_last_tells(
    moment: Moment,
) -> None:
    ticket = make_ticket(urgency="urgent")
    moment("2026-11-20 12:00")
    clocks.sweep()
    stages = ticket.events.filter(params__kind="response", clock__isnull=False).order_by("at")
    assert [(event.stage, event.at, event.params["superseded"]) for event in stages] == [
        ("80%", at("2026-11-20 10:24"), True),
        ("0", at("2026-11-20 10:30"), True),
        ("+15m", at("2026-11-20 10:45"), False),
    ]


def test_a_reply_at_the_last_moment_is_in_time(moment: Moment) -> None:
    owner = staff_actor()
    ticket = make_ticket(urgency="urgent", by=owner)
    take(ticket, owner)
    moment("2026-11-20 10:30")
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=owner)
    clock = clock_of(ticket, "response")
    assert (clock.phase(moment.now), clock.breached_at) == (Phase.MET, None)


def test_a_reply_one_second_late_leaves_its_breach_though_no_sweep_ran(moment: Moment) -> None:
    owner = staff_actor()
    ticket = make_ticket(urgency="urgent", by=owner)
    take(ticket, owner)
    moment("2026-11-20 10:30:01")
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=owner)
    clock = clock_of(ticket, "response")
    assert clock.phase(moment.now) == Phase.MET_LATE
    assert clock.breached_at == at("2026-11-20 10:30")
    assert Explanation.objects.filter(clock=clock).exists()


def test_waiting_after_the_deadline_hides_nothing(moment: Moment) -> None:
    owner = staff_actor()
    ticket = make_ticket(urgency="important", by=owner)
    take(ticket, owner)
    moment("2026-11-23 10:00:01")
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    clock = clock_of(ticket, "resolution")
    assert clock.phase(moment.now) == Phase.OVERDUE
    assert clock.breached_at == at("2026-11-23 10:00")


def test_it_pauses_the_resolution_while_waiting_for_the_customer(moment: Moment) -> None:
    owner = staff_actor()
    ticket = make_ticket(urgency="important", by=owner)
    take(ticket, owner)
    workflow.reply_to_customer(ticket.pk, workflow.Words("请提供照片"), by=owner)
    moment.later(hours=10)
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    assert clock_of(ticket, "resolution").phase(moment.now) == Phase.PAUSED
    moment.later(hours=5)
    workflow.resume_ticket(ticket.pk, by=owner)
    clock = clock_of(ticket, "resolution")
    assert clock.due_at == at("2026-11-23 15:00")
    assert clock.state == "running"


def test_a_wait_ends_by_itself_at_its_limit(moment: Moment) -> None:
    owner = staff_actor()
    ticket = make_ticket(urgency="important", by=owner)
    take(ticket, owner)
    workflow.reply_to_customer(ticket.pk, workflow.Words("请提供照片"), by=owner)
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    moment("2026-11-27 10:00:01")
    clocks.sweep()
    ticket.refresh_from_db()
    assert ticket.status == "in_progress"
    assert ticket.waiting_reason == ""
    resumed = ticket.events.get(name="ticket.resumed")
    assert resumed.at == at("2026-11-27 10:00")
    assert clock_of(ticket, "resolution").due_at == at("2026-11-30 10:00")


def test_the_first_decision_withdraws_a_breach_under_the_proposed_level(moment: Moment) -> None:
    ticket = make_ticket(urgency="urgent")
    moment("2026-11-20 10:40")
    clocks.sweep()
    assert clock_of(ticket, "response").breached_at is not None
    workflow.grade_ticket(
        ticket.pk, level="general", reason="只是咨询", by=staff_actor(Role.SUPERVISOR)
    )
    clock = clock_of(ticket, "response")
    assert (clock.breached_at, clock.due_at) == (None, at("2026-11-20 15:30"))
    assert Explanation.objects.get(clock=clock).state == "withdrawn"
    assert ticket.clocks.get(kind="explanation").state == "cancelled"
    moment("2026-11-20 15:31")
    clocks.sweep()
    assert clock_of(ticket, "response").breached_at == at("2026-11-20 15:30")


def test_a_breach_that_comes_of_regrading_is_marked(moment: Moment) -> None:
    supervisor = staff_actor(Role.SUPERVISOR)
    ticket = make_ticket()
    moment.later(minutes=5)
    workflow.grade_ticket(ticket.pk, level="general", by=supervisor)
    moment.later(minutes=55)
    workflow.grade_ticket(ticket.pk, level="urgent", reason="冒烟", by=supervisor)
    clock = clock_of(ticket, "response")
    assert clock.breached_at == at("2026-11-20 10:30")
    assert clock.breach_cause == "regrade"


def test_a_later_decision_keeps_the_verdict_of_a_broken_promise(moment: Moment) -> None:
    supervisor = staff_actor(Role.SUPERVISOR)
    ticket = make_ticket(urgency="urgent")
    workflow.grade_ticket(ticket.pk, level="urgent", by=supervisor)
    moment.later(minutes=31)
    workflow.grade_ticket(ticket.pk, level="general", reason="误判", by=supervisor)
    assert clock_of(ticket, "response").breached_at == at("2026-11-20 10:30")
    assert clock_of(ticket, "resolution").due_at == at("2026-11-27 17:30")


def test_reopening_opens_a_new_cycle_with_full_budgets(moment: Moment) -> None:
    owner = staff_actor()
    ticket = make_ticket(by=owner)
    take(ticket, owner)
    workflow.start_ticket(ticket.pk, by=owner)
    moment.later(hours=1)
    workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=owner)
    live = ticket.clocks.live().values_list("kind", flat=True)
    assert list(live) == ["confirmation"]  # the customer's time to object
    moment("2026-11-23 10:00")
    workflow.reopen_ticket(ticket.pk, reason="仍不亮", by=owner)
    assert clock_of(ticket, "response", 2).due_at == at("2026-11-23 15:30")
    assert clock_of(ticket, "resolution", 1).state == "met"


def test_a_culprit_is_pushed_ahead_and_the_others_are_flagged(moment: Moment) -> None:
    good, bad = make_ticket(), make_ticket(customer=make_report().customer)
    Clock.objects.filter(ticket=bad).update(stage_keys=["80%"])  # one key for two moments
    moment("2026-11-20 15:31")
    clocks.sweep()
    bad.refresh_from_db()
    assert bad.wake_attempts == 1
    assert bad.wake_at == at("2026-11-20 15:36")
    assert clock_of(good, "response").breached_at is not None


def test_it_takes_500_a_batch_until_none_is_left(
    moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(clocks.sweep.__globals__, "BATCH", 2)
    for _ in range(5):
        make_ticket()
    moment("2026-11-20 10:11")
    assert clocks.sweep() == 5
    assert Event.objects.filter(name="clock.breached").count() == 5


def test_numbers_count_within_the_day(moment: Moment) -> None:
    first, second = make_ticket(), make_ticket(kind="advice")
    moment("2026-11-21 00:00:01")
    third = make_ticket()
    assert first.number == "GZ20261120001"
    assert second.number == "ZX20261120002"
    assert third.number == "GZ20261121001"
