"""Corrected calendars, and calendars that end: facts change, verdicts do not."""

from datetime import date, datetime

import pytest

from aftersales.accounts.models import Role
from tests.factories import make_ticket, staff_actor
from tests.tickets.conftest import Moment, at
from tests.tickets.promises import clock_of, take
from tickets import clocks, workflow
from tickets.models import CalendarDate, CalendarVersion, Clock, PolicyVersion, Ticket
from tickets.workflow import publishing

HOURS = [["08:30", "12:00"], ["13:30", "17:30"]]


def correct(
    now: datetime, *, closed: str = "", worked: str = "", until: date = date(2029, 12, 31)
) -> CalendarVersion:
    """Publish the firm's calendar anew, with one more closed or worked day."""
    old = CalendarVersion.objects.latest("number")
    changed = {closed: [], worked: HOURS}
    dates = [
        CalendarDate(on=row.on, kind=row.kind, windows=row.windows)
        for row in old.dates.exclude(on__in=[day for day in changed if day])
    ]
    dates += [
        CalendarDate(on=date.fromisoformat(day), kind="exception", windows=windows)
        for day, windows in changed.items()
        if day
    ]
    return publishing.publish_calendar(
        publishing.CalendarFacts(
            code=old.calendar.code,
            name_zh=old.calendar.name_zh,
            name_en=old.calendar.name_en,
            zone=old.zone,
            week=old.week,
            until=until,
            settled_until=old.settled_until,
            dates=dates,
        ),
        now=now,
    )


@pytest.fixture
def ticket(moment: Moment) -> Ticket:
    """General, received on Friday at 10:00: to be solved by the end of next Friday."""
    return make_ticket()


def test_a_new_holiday_moves_the_deadlines_that_it_lies_in(moment: Moment, ticket: Ticket) -> None:
    moment.later(minutes=5)
    version = correct(moment.now, closed="2026-11-24")
    assert clocks.rebase() == 1
    clock = clock_of(ticket, "resolution")
    assert clock.due_at == at("2026-11-30 17:30")
    assert clock.calendar_version == version
    event = ticket.events.get(name="clock.rebased")
    assert event.clock == clock
    assert datetime.fromisoformat(event.before["due_at"]) == at("2026-11-27 17:30")
    assert datetime.fromisoformat(event.after["due_at"]) == at("2026-11-30 17:30")


def test_deadlines_before_the_changed_day_stay_without_a_word(
    moment: Moment, ticket: Ticket
) -> None:
    before = list(ticket.clocks.values_list("kind", "due_at", "stage_at").order_by("pk"))
    version = correct(moment.now, closed="2027-03-01")
    assert clocks.rebase() == 0
    assert list(ticket.clocks.values_list("kind", "due_at", "stage_at").order_by("pk")) == before
    assert not ticket.events.filter(name="clock.rebased").exists()
    assert {clock.calendar_version for clock in ticket.clocks.all()} == {version}


def test_it_moves_a_deadline_once(moment: Moment, ticket: Ticket) -> None:
    correct(moment.now, closed="2026-11-24")
    assert (clocks.rebase(), clocks.rebase()) == (1, 0)
    assert ticket.events.filter(name="clock.rebased").count() == 1


def test_a_case_that_was_received_while_it_was_published_follows_later(
    moment: Moment, ticket: Ticket
) -> None:
    old = CalendarVersion.objects.latest("number")
    correct(moment.now, closed="2026-11-24")
    late = make_ticket()
    late.clocks.filter(kind="resolution").update(
        calendar_version=old, due_at=at("2026-11-27 17:30")
    )
    assert clocks.rebase() == 2
    assert clock_of(late, "resolution").due_at == at("2026-11-30 17:30")


def test_kept_and_broken_promises_keep_their_verdict(moment: Moment) -> None:
    owner = staff_actor()
    ticket = make_ticket(by=owner)
    take(ticket, owner)
    moment("2026-11-20 15:31")
    clocks.sweep()
    correct(moment.now, closed="2026-11-20")
    clocks.rebase()
    assert clock_of(ticket, "acknowledge").due_at == at("2026-11-20 10:10")
    assert clock_of(ticket, "response").breached_at == at("2026-11-20 15:30")


def test_a_breach_that_only_the_correction_causes_is_marked_as_such(
    moment: Moment, ticket: Ticket
) -> None:
    """A Saturday turns out to have been a make-up day, so the fifth day was yesterday."""
    supervisor = staff_actor(Role.SUPERVISOR)
    take(ticket, supervisor)
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=supervisor)
    moment("2026-11-27 09:00")
    clocks.sweep()
    correct(moment.now, worked="2026-11-21")
    assert clocks.rebase() == 1
    clock = clock_of(ticket, "resolution")
    assert (clock.breached_at, clock.breach_cause) == (at("2026-11-26 17:30"), "calendar")
    number = ticket.explanations.get().number
    assert clock_of(ticket, "explanation", str(number)).started_at == moment.now


def test_the_sweep_wakes_at_the_moved_moments(moment: Moment, ticket: Ticket) -> None:
    owner = staff_actor()
    take(ticket, owner)
    workflow.reply_to_customer(ticket.pk, workflow.Words("您好"), by=owner)
    correct(moment.now, closed="2026-11-24")
    clocks.rebase()
    ticket.refresh_from_db()
    assert ticket.next_due_at == at("2026-11-30 17:30")
    assert ticket.wake_at == min(clock_of(ticket, "resolution").stage_at)


def test_a_waiting_promise_follows_too(moment: Moment, ticket: Ticket) -> None:
    owner = staff_actor()
    take(ticket, owner)
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    correct(moment.now, closed="2026-11-24")
    clocks.rebase()
    moment.later(hours=1)
    workflow.resume_ticket(ticket.pk, by=owner)
    assert clock_of(ticket, "resolution").due_at == at("2026-12-01 09:30")


def test_a_promise_that_runs_on_after_a_wait_counts_by_the_newest_facts(
    moment: Moment, ticket: Ticket
) -> None:
    """Though the task that lets promises follow has not been there yet."""
    owner = staff_actor()
    take(ticket, owner)
    workflow.wait_ticket(ticket.pk, reason="customer", by=owner)
    correct(moment.now, closed="2026-11-24")
    moment.later(hours=1)
    workflow.resume_ticket(ticket.pk, by=owner)
    assert clock_of(ticket, "resolution").due_at == at("2026-12-01 09:30")


def test_a_case_that_cannot_follow_never_holds_up_the_others(
    moment: Moment, ticket: Ticket
) -> None:
    bad = ticket
    Clock.objects.filter(ticket=bad).update(stage_keys=["80%"])  # one key for two moments
    good = make_ticket()
    moment("2026-11-20 15:31")
    correct(moment.now, closed="2026-11-24")
    assert clocks.rebase() == 1
    assert clock_of(good, "resolution").due_at == at("2026-11-30 17:30")


# --- past the end ---------------------------------------------------------------------------------


def test_past_the_calendars_end_the_week_pattern_serves_provisionally(moment: Moment) -> None:
    moment("2028-12-28 10:00")
    ticket = make_ticket()
    clock = clock_of(ticket, "resolution")
    assert clock.due_at == at("2029-01-04 17:30")
    assert clock.provisional
    assert ticket.events.get(name="clock.provisional").clock == clock
    assert not clock_of(ticket, "response").provisional


def test_a_longer_calendar_makes_provisional_deadlines_final(moment: Moment) -> None:
    moment("2028-12-28 10:00")
    ticket = make_ticket()
    correct(moment.now, closed="2029-01-01", until=date(2030, 12, 31))
    clocks.rebase()
    clock = clock_of(ticket, "resolution")
    assert (clock.due_at, clock.provisional) == (at("2029-01-05 17:30"), False)


def test_regrading_past_the_end_is_not_refused(moment: Moment, maker: PolicyVersion) -> None:
    moment("2028-12-28 10:00")
    ticket = make_ticket(urgency="urgent")
    workflow.grade_ticket(
        ticket.pk, level="general", reason="只是咨询", by=staff_actor(Role.SUPERVISOR)
    )
    assert clock_of(ticket, "resolution").provisional
