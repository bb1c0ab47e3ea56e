"""A case in hand: its live clocks and pauses at one moment, and what is to be written of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from aftersales.accounts.actors import SYSTEM, Actor
from aftersales.common import worktime
from aftersales.customers import freetext
from tickets import sla
from tickets.clocks import calendars, policies, rows
from tickets.models import CalendarVersion, Clock, Explanation, Pause, PauseReason, Ticket
from tickets.models.clock import EXPLANATION, SIGNATURE


class Case:
    """A locked case at ``now``. Made by ``open_case``, which also writes what was changed.

    ``clocks`` are those that were live when the case was opened and those opened since.
    """

    def __init__(
        self,
        ticket: Ticket,
        now: datetime,
        clocks: Sequence[Clock] = (),
        pauses: Sequence[Pause] = (),
        calendar_versions: dict[int, CalendarVersion] | None = None,
    ) -> None:
        self.ticket = ticket
        self.now = now
        self.clocks = list(clocks)
        self.pauses = list(pauses)
        self.events: list[rows.NewEvent] = []
        self.new_clocks: list[Clock] = []
        self.changed_clocks: dict[int, Clock] = {}
        self.new_explanations: list[Explanation] = []
        self.changed_fields: set[str] = set()
        # by calendar; cases that are settled together read each one once
        self._calendar_versions = {} if calendar_versions is None else calendar_versions

    @property
    def policy(self) -> policies.Policy:
        """The policy version that judges this case."""
        return policies.policy(self.ticket.policy_id)

    def live(self, kind: str, subject: str = "") -> Clock | None:
        """The live clock of this kind and subject, if there is one."""
        return next(
            (
                clock
                for clock in self.clocks
                if clock.is_live and (clock.kind, clock.subject) == (kind, subject)
            ),
            None,
        )

    @property
    def open_pauses(self) -> list[Pause]:
        return [pause for pause in self.pauses if pause.ended_at is None]

    # --- the row and its events --------------------------------------------------------------

    def change(self, **values: Any) -> None:
        """Set fields of the ticket; they are written when the case is stored."""
        for name, value in values.items():
            setattr(self.ticket, name, value)
            self.changed_fields.add(name)

    def record(
        self,
        name: str,
        *,
        by: Actor = SYSTEM,
        at: datetime | None = None,
        clock: Clock | None = None,
        stage: str = "",
        subject: str = "",
        reason: str = "",
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        **params: Any,
    ) -> None:
        """Note an event; it is written, with its outbox row, when the case is stored."""
        if clock is not None:
            params = {"kind": clock.kind, "subject": clock.subject, **params}
        self.events.append(
            rows.NewEvent(
                ticket=self.ticket,
                name=name,
                at=at or self.now,
                actor=by,
                subject=subject,
                clock=clock,
                stage=stage,
                due_at=clock.due_at if clock else None,
                reason=freetext.masked(reason),
                before=before or {},
                after=after or {},
                params=params,
            )
        )

    # --- promises ------------------------------------------------------------------------------

    def promise(
        self,
        kind: str,
        *,
        subject: str = "",
        cycle: int = 1,
        started_at: datetime | None = None,
    ) -> Clock | None:
        """Start the clock that the case's policy promises; None where it promises none.

        It opens paused while its kind waits. A promise that exists already is refused by the
        database when the case is stored.
        """
        target = self.policy.target(kind, self.ticket)
        if target is None:
            return None
        clock = Clock(
            ticket=self.ticket,
            kind=kind,
            subject=subject,
            cycle=cycle,
            party=target.party,
            target=target,
            started_at=started_at or self.now,
        )
        self.time(clock)
        self.clocks.append(clock)
        self.new_clocks.append(clock)
        return clock

    def promise_again(self, clock: Clock) -> None:
        """A promise of this case that was cancelled runs again, by the target of today."""
        target = self.policy.target(clock.kind, self.ticket)
        if target is not None:
            clock.ticket, clock.target, clock.stage = self.ticket, target, ""
            self.time(clock)
            self.clocks.append(clock)

    def meet(self, kind: str, subject: str = "", *, at: datetime | None = None) -> None:
        """The promise is kept, at the moment of the deed; nothing happens if none is live."""
        clock = self.live(kind, subject)
        if clock is not None:
            self.end(clock, sla.State.MET, met_at=at or self.now)

    def cancel(self, kind: str, subject: str = "") -> None:
        """The promise falls away without verdict; nothing happens if none is live."""
        clock = self.live(kind, subject)
        if clock is not None:
            self.end(clock, sla.State.CANCELLED)

    def end(self, clock: Clock, state: sla.State, *, met_at: datetime | None = None) -> None:
        """Nothing comes of the clock any more. One that stands still is judged as it stands.

        A deed in time whose record comes after the deadline takes the breach back.
        """
        if clock.state == sla.State.PAUSED:
            clock.due_at = self.plan(clock, waits_until=met_at or self.now).due_at
        if clock.breached_at is not None and met_at is not None and met_at <= clock.due_at:
            self.withdraw_breach(clock)
        clock.state = state
        clock.met_at = met_at
        clock.resumes_at = None
        clock.schedule([])
        self.touch(clock)

    # --- breaches and their explanations --------------------------------------------------------

    def ask_for_explanation(self, clock: Clock, number: int, *, asked_at: datetime) -> None:
        """Open the overdue explanation of a breach, with a clock of its own from ``asked_at``."""
        self.new_explanations.append(
            Explanation(ticket=self.ticket, clock=clock, number=number, missed_at=clock.due_at)
        )
        self.promise(EXPLANATION, subject=str(number), started_at=asked_at)

    def withdraw_breach(self, clock: Clock, *, still_late: bool = False) -> None:
        """The promise was not broken after all: its verdict and its explanation fall away.

        ``still_late`` keeps the explanation: another deadline was missed instead.
        """
        if clock.breached_at is None:
            return
        self.record("clock.breach_withdrawn", clock=clock)
        clock.breached_at = None
        clock.breach_cause = Clock.Cause.NONE
        if not still_late:
            for explanation in clock.explanations.order_by("number"):
                self.withdraw_explanation(explanation)

    def withdraw_explanation(self, explanation: Explanation) -> None:
        """What was to be explained is no longer a breach, or no longer asked; signed ones stay."""
        if not explanation.is_open:
            return
        explanation.state = Explanation.State.WITHDRAWN
        explanation.save(update_fields=["state"])
        self.cancel(EXPLANATION, str(explanation.number))
        self.cancel(SIGNATURE, str(explanation.number))

    # --- waiting -------------------------------------------------------------------------------

    def pause(self, reason: PauseReason, subject: str = "") -> Pause:
        """Stop the clocks that ``reason`` stops, until ``resume`` or for its longest time.

        A promise that is already broken runs on.
        """
        pause = Pause.objects.create(
            ticket=self.ticket,
            subject=subject,
            reason=reason.code,
            stops=reason.stops,
            started_at=self.now,
            limit_at=self.now + timedelta(days=reason.longest),
        )
        self.pauses.append(pause)
        for clock in self.clocks:
            if clock.is_live and clock.breached_at is None and pause.stops_clock(clock):
                self.time(clock, only=set(clock.stage_keys))
        return pause

    def resume(self, subject: str | None = "") -> None:
        """End the open wait, with None all of them; their clocks run on with deadlines moved."""
        for pause in self.open_pauses:
            if subject in (None, pause.subject):
                self.end_pause(pause, self.now)

    def end_pause(self, pause: Pause, at: datetime) -> None:
        pause.ended_at = at
        pause.save(update_fields=["ended_at"])
        for clock in self.clocks:
            if clock.state == sla.State.PAUSED and pause.stops_clock(clock):
                self.time(clock, only=set(clock.stage_keys))

    # --- arithmetic ----------------------------------------------------------------------------

    def time(self, clock: Clock, *, only: set[str] | None = None) -> None:
        """Give a live clock deadline, stages and state, from its own start and with all pauses.

        It stands still while a wait that began before the deadline is open; the deadline is then
        the latest one possible, so that no reader needs a worker when the wait ends by itself. It
        counts by the newest facts of its calendar. ``only`` keeps the stages that are still to
        come; those reached stay reached.
        """
        clock.calendar_version = self.calendar_version(clock.target.calendar_id)
        plan = self.plan(clock)
        clock.due_at, clock.risk_at = plan.due_at, plan.risk_at
        waits = [
            pause.limit_at
            for pause in self.open_pauses
            if pause.started_at < plan.due_at and pause.stops_clock(clock)
        ]
        clock.resumes_at = max(waits, default=None)
        clock.state = sla.State.PAUSED if waits else sla.State.RUNNING
        clock.schedule([(at, key) for at, key in plan.stages if only is None or key in only])
        self.touch(clock)

    def plan(self, clock: Clock, *, waits_until: datetime | None = None) -> sla.Plan:
        """The clock's deadline and stages under its target; past the calendar's end provisional.

        An open wait counts up to ``waits_until``, or to its limit.
        """
        spans = [
            sla.Span(pause.started_at, pause.ended_at or waits_until or pause.limit_at)
            for pause in self.pauses
            if pause.stops_clock(clock)
        ]
        target, version = clock.target, clock.calendar_version_id

        def plan(calendar: worktime.Calendar) -> sla.Plan:
            return sla.plan(
                calendar, target.parsed_budgets, clock.started_at, target.parsed_stages, spans
            )

        try:
            counted = plan(calendars.calendar(version))
            clock.provisional = False
        except worktime.CalendarEnded:
            counted = plan(calendars.endless_calendar(version))
            if not clock.provisional:
                clock.provisional = True
                self.record("clock.provisional", clock=clock)
        return counted

    def calendar_version(self, calendar_id: int) -> CalendarVersion:
        if calendar_id not in self._calendar_versions:
            self._calendar_versions[calendar_id] = calendars.newest_version(calendar_id)
        return self._calendar_versions[calendar_id]

    def touch(self, clock: Clock) -> None:
        if clock.pk is not None:
            self.changed_clocks[clock.pk] = clock

    def written(self) -> None:
        """What was noted so far is in the database."""
        self.new_clocks, self.changed_clocks = [], {}
        self.new_explanations, self.events = [], []

    def derive(self) -> None:
        """Set the ticket's wake time and next deadline from its clocks and open pauses."""
        running = [clock for clock in self.clocks if clock.state == sla.State.RUNNING]
        wakes = [clock.next_at for clock in running if clock.next_at is not None]
        wakes += [pause.limit_at for pause in self.open_pauses]
        ours = [clock.due_at for clock in running if clock.party == sla.Party.US]
        self.ticket.wake_at = min(wakes, default=None)
        self.ticket.next_due_at = min(ours, default=None)
