"""Owning, waiting, urging, holding, cancelling, reopening, and what each does to promises."""

from collections.abc import Callable
from typing import Any

import pytest

from aftersales.accounts import actors
from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role
from aftersales.common import errors
from aftersales.customers.models import Grant
from tests.factories import make_ticket, make_user, staff_actor
from tests.tickets.conftest import Moment, at
from tests.tickets.promises import add_target, clock_of, take, waiting_for
from tickets import clocks, workflow
from tickets.models import Hold, PolicyVersion, Ticket
from tickets.sla import Phase
from tickets.workflow import closing


@pytest.fixture
def owner(moment: Moment) -> Actor:
    return staff_actor(Role.SUPERVISOR)


@pytest.fixture
def ticket(owner: Actor) -> Ticket:
    """Urgent, in its owner's hands: 30 minutes to respond, 24 hours to solve."""
    ticket = make_ticket(urgency="urgent", by=owner)
    take(ticket, owner)
    return ticket


def customer_of(ticket: Ticket) -> Actor:
    assert ticket.contact_id is not None
    return actors.customer(ticket.contact_id)


def holders(ticket: Ticket) -> list[int]:
    live = Grant.objects.filter(case_ref=str(ticket.public_id), ended_at__isnull=True)
    return list(live.values_list("holder", flat=True))


# --- what keeps which promise ---------------------------------------------------------------------


def test_assigning_acknowledges_and_is_no_response(ticket: Ticket) -> None:
    assert clock_of(ticket, "acknowledge").state == "met"
    assert clock_of(ticket, "response").state == "running"


def test_a_reply_acknowledges_too(moment: Moment, owner: Actor) -> None:
    ticket = make_ticket(urgency="urgent", by=owner)
    moment.later(minutes=5)
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=owner)
    assert [clock_of(ticket, kind).met_at for kind in ("acknowledge", "response")] == [
        moment.now,
        moment.now,
    ]


def test_a_note_a_wait_and_the_customers_own_words_are_no_response(
    ticket: Ticket, owner: Actor
) -> None:
    workflow.write_note(ticket.pk, workflow.Words("已查库存"), by=owner)
    workflow.wait_ticket(ticket.pk, reason="quote", by=owner)
    workflow.write_as_customer(ticket.pk, workflow.Words("在吗"), by=customer_of(ticket))
    assert clock_of(ticket, "response").state == "running"


def test_the_resolution_is_a_response_too(ticket: Ticket, owner: Actor) -> None:
    workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=owner)
    states = ticket.clocks.filter(kind__in=["acknowledge", "response", "resolution"])
    assert set(states.values_list("state", flat=True)) == {"met"}


def test_the_second_reply_changes_no_verdict(ticket: Ticket, owner: Actor, moment: Moment) -> None:
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=owner)
    first = moment.now
    moment.later(hours=2)
    workflow.reply_to_customer(ticket.pk, workflow.Words("仍在处理"), by=owner)
    assert clock_of(ticket, "response").met_at == first


# --- waiting --------------------------------------------------------------------------------------


def test_only_what_was_waited_for_ends_a_wait(ticket: Ticket, owner: Actor) -> None:
    workflow.wait_ticket(ticket.pk, reason="quote", by=owner)
    workflow.write_as_customer(ticket.pk, workflow.Words("多少钱"), by=customer_of(ticket))
    ticket.refresh_from_db()
    assert ticket.status == "waiting"
    workflow.resume_ticket(ticket.pk, by=owner)
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    workflow.write_as_customer(ticket.pk, workflow.Words("照片已发"), by=customer_of(ticket))
    ticket.refresh_from_db()
    assert (ticket.status, ticket.waiting_reason) == ("in_progress", "")
    assert clock_of(ticket, "resolution").state == "running"


def test_a_reason_that_the_policy_does_not_name_is_refused(ticket: Ticket, owner: Actor) -> None:
    with pytest.raises(errors.Invalid) as refused:
        workflow.wait_ticket(ticket.pk, reason="lunch", by=owner)
    assert refused.value.errors[0].code == "unknown_reason"
    assert not ticket.pauses.exists()


def test_resolving_a_waiting_case_ends_the_wait(
    ticket: Ticket, owner: Actor, moment: Moment
) -> None:
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=owner)
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    moment("2026-11-22 10:00")
    workflow.resolve_ticket(ticket.pk, resolution="客户自行解决", by=owner)
    clock = clock_of(ticket, "resolution")
    assert (clock.phase(moment.now), clock.due_at) == (Phase.MET, at("2026-11-23 10:00"))
    assert ticket.pauses.get().ended_at == moment.now


# --- urging, holds --------------------------------------------------------------------------------


def test_urging_is_counted_and_is_nobodys_edit(ticket: Ticket) -> None:
    ticket.refresh_from_db()
    before = ticket.version
    for _ in range(2):
        workflow.urge_ticket(ticket.pk, by=customer_of(ticket))
    ticket.refresh_from_db()
    assert (ticket.urges, ticket.version) == (2, before)
    urged = ticket.events.filter(name="ticket.urged").order_by("pk")
    assert [event.params["urges"] for event in urged] == [1, 2]


def test_a_hold_keeps_a_case_from_being_closed_and_cancelled(
    ticket: Ticket, owner: Actor, moment: Moment
) -> None:
    hold = Hold.objects.create(
        ticket=ticket, key="refund:1", label_zh="退款", label_en="Refund", created_at=moment.now
    )
    with pytest.raises(errors.Conflict) as refused:
        workflow.cancel_ticket(ticket.pk, reason="重复", by=owner)
    assert (refused.value.code, refused.value.extra["holds"]) == ("held", ["refund:1"])
    workflow.resolve_ticket(ticket.pk, resolution="已退款", by=owner)
    with pytest.raises(errors.Conflict) as refused:
        workflow.close_ticket(ticket.pk, by=owner)
    assert refused.value.code == "held"
    hold.delete()
    assert workflow.close_ticket(ticket.pk, by=owner).status == "closed"


@pytest.mark.parametrize("state", ["due", "submitted", "returned", "signed"])
def test_only_a_signed_explanation_lets_a_case_be_closed(
    ticket: Ticket, owner: Actor, moment: Moment, state: str
) -> None:
    moment("2026-11-20 10:31")
    workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=owner)
    manager = staff_actor(Role.MANAGER)
    if state != "due":
        workflow.submit_explanation(
            ticket.pk, 1, cause="人手不足", remedy="已加派", new_promise_at=None, by=owner
        )
    if state == "returned":
        workflow.return_explanation(ticket.pk, 1, reason="不清", by=manager)
    if state == "signed":
        workflow.sign_explanation(ticket.pk, 1, by=manager)
        assert workflow.close_ticket(ticket.pk, by=owner).status == "closed"
        return
    with pytest.raises(errors.Conflict) as refused:
        workflow.close_ticket(ticket.pk, by=owner)
    assert refused.value.extra["explanations"] == [1]


# --- cancelling -----------------------------------------------------------------------------------


def test_cancelling_ends_every_promise_without_a_verdict(
    ticket: Ticket, owner: Actor, moment: Moment
) -> None:
    moment("2026-11-20 10:31")
    clocks.sweep()
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    workflow.cancel_ticket(ticket.pk, reason="重复", by=owner)
    ticket.refresh_from_db()
    assert (ticket.status, ticket.wake_at, ticket.next_due_at) == ("cancelled", None, None)
    assert ticket.clocks.get(kind="response").state == "cancelled"
    assert ticket.explanations.get().state == "withdrawn"
    assert holders(ticket) == []
    moment("2027-01-01 10:00")
    assert clocks.sweep() == 0


def test_cancelling_ends_the_waits_of_steps_too(
    ticket: Ticket, owner: Actor, maker: PolicyVersion
) -> None:
    add_target(maker, "inspection")
    with clocks.open_case(ticket.pk) as case:
        case.promise("inspection", subject="R1")
        case.pause(waiting_for("inspection"), subject="R1")
    workflow.cancel_ticket(ticket.pk, reason="重复", by=owner)
    ticket.refresh_from_db()
    assert ticket.wake_at is None
    assert not ticket.pauses.filter(ended_at__isnull=True).exists()


def test_a_case_that_cannot_be_closed_never_keeps_the_others_open(
    owner: Actor, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = make_ticket(by=owner), make_ticket(by=owner)
    for ticket in (bad, good):
        take(ticket, owner)
        workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=owner)
    moment("2026-11-28 00:00:01")
    clocks.sweep()
    close_ticket = closing.close_ticket

    def fail(ticket_id: int, **how: Any) -> Ticket:
        if ticket_id == bad.pk:
            raise ValueError("bad row")
        return close_ticket(ticket_id, **how)

    monkeypatch.setattr(closing, "close_ticket", fail)
    assert workflow.close_unanswered() == 1
    good.refresh_from_db()
    assert good.status == "closed"


# --- cycles ---------------------------------------------------------------------------------------


def test_each_reopening_is_a_cycle_with_verdicts_of_its_own(
    ticket: Ticket, owner: Actor, moment: Moment
) -> None:
    moment("2026-11-20 10:31")
    workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=owner)
    for cycle in (2, 3):
        moment.later(days=1)
        reopened = workflow.reopen_ticket(ticket.pk, reason="仍不亮", by=owner)
        assert (reopened.cycle, reopened.resolved_at, reopened.resolution) == (cycle, None, "")
        moment.later(minutes=10)
        workflow.resolve_ticket(ticket.pk, resolution="再次更换", by=owner)
    phases = [clock_of(ticket, "response", cycle=n).phase(moment.now) for n in (1, 2, 3)]
    assert phases == [Phase.MET_LATE, Phase.MET, Phase.MET]
    assert not ticket.clocks.filter(kind="acknowledge", cycle__gt=1).exists()


def test_reopening_leaves_a_running_explanation_alone(
    ticket: Ticket, owner: Actor, moment: Moment
) -> None:
    moment("2026-11-20 10:31")
    workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=owner)
    before = clock_of(ticket, "explanation", "1")
    workflow.reopen_ticket(ticket.pk, reason="仍不亮", by=owner)
    moment("2026-11-20 11:02")
    clocks.sweep()
    after = clock_of(ticket, "explanation", "1")
    assert (after.state, after.due_at) == ("running", before.due_at)
    assert list(ticket.explanations.order_by("number").values_list("clock__cycle", flat=True)) == [
        1,
        2,
    ]


def test_a_closed_case_that_is_reopened_gives_its_owner_sight_of_the_customer_again(
    ticket: Ticket, owner: Actor
) -> None:
    assert owner.user is not None
    workflow.resolve_ticket(ticket.pk, resolution="已更换主板", by=owner)
    workflow.close_ticket(ticket.pk, by=owner)
    assert holders(ticket) == []
    workflow.reopen_ticket(ticket.pk, reason="仍不亮", by=owner)
    assert holders(ticket) == [owner.user.pk]


# --- versions -------------------------------------------------------------------------------------


def test_edits_by_people_count_and_messages_do_not(
    ticket: Ticket, owner: Actor, moment: Moment
) -> None:
    def version() -> int:
        ticket.refresh_from_db()
        return ticket.version

    before = version()
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=owner)
    workflow.write_note(ticket.pk, workflow.Words("已查"), by=owner)
    moment.later(hours=30)
    clocks.sweep()
    assert version() == before
    heir = make_user()
    edits: list[Callable[[int], Ticket]] = [
        lambda n: workflow.grade_ticket(
            ticket.pk, level="important", reason="误判", by=owner, version=n
        ),
        lambda n: workflow.wait_ticket(ticket.pk, reason="customer", by=owner, version=n),
        lambda n: workflow.resume_ticket(ticket.pk, by=owner, version=n),
        lambda n: workflow.assign_ticket(ticket.pk, owner_id=heir.pk, by=owner, version=n),
        lambda n: workflow.resolve_ticket(ticket.pk, resolution="已更换", by=owner, version=n),
        lambda n: workflow.reopen_ticket(ticket.pk, reason="不亮", by=owner, version=n),
        lambda n: workflow.cancel_ticket(ticket.pk, reason="重复", by=owner, version=n),
    ]
    for edit in edits:
        before = version()
        with pytest.raises(errors.Stale) as refused:
            edit(before - 1)
        assert refused.value.extra["version"] == before
        edit(before)
        assert version() == before + 1
