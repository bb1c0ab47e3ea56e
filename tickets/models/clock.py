"""The rows of the SLA engine: clocks, pauses, explanations."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from tickets import sla
from tickets.models.policy import CalendarVersion, Target
from tickets.models.ticket import Ticket

ACKNOWLEDGE = "acknowledge"
RESPONSE = "response"
RESOLUTION = "resolution"
EXPLANATION = "explanation"
SIGNATURE = "signature"
CONFIRMATION = "confirmation"  # the customer's: to object to what was resolved
TICKET_LEVEL = (ACKNOWLEDGE, RESPONSE, RESOLUTION)  # resolving a case ends these

LIVE = (sla.State.RUNNING.value, sla.State.PAUSED.value)


class ClockQuerySet(models.QuerySet["Clock"]):
    def live(self) -> "ClockQuerySet":
        return self.filter(state__in=LIVE)

    def unbroken(self) -> "ClockQuerySet":
        """Live ones whose deadline may still move."""
        return self.live().filter(breached_at__isnull=True)


class Clock(models.Model):
    """One promise: by when what is done for a case, and what became of it.

    ``stage_at`` and ``stage_keys`` are the stages still to come, earliest first, and ``next_at``
    the first of them; ``stage`` is the last that was reached. ``breached_at`` is the deadline
    itself, never the moment of its discovery; the clock runs on until it is met. While paused it
    runs on by itself at ``resumes_at``, and ``due_at`` is the latest possible one: of then.
    """

    class Cause(models.TextChoices):
        NONE = "", ""
        REGRADE = "regrade", _("Breached by regrading")
        CALENDAR = "calendar", _("Breached by a calendar correction")

    # indexed by its unique promise; target and calendar are not looked up by, but see below
    ticket = models.ForeignKey(
        Ticket, on_delete=models.CASCADE, related_name="clocks", db_index=False
    )
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=80, default="", blank=True)
    cycle = models.PositiveSmallIntegerField(default=1)
    party = models.CharField(max_length=10)
    target = models.ForeignKey(Target, on_delete=models.PROTECT, db_index=False)
    calendar_version = models.ForeignKey(CalendarVersion, on_delete=models.PROTECT, db_index=False)
    provisional = models.BooleanField(
        default=False, help_text=_("Counted past the calendar's end, by its week pattern.")
    )
    started_at = models.DateTimeField()
    due_at = models.DateTimeField()
    risk_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(null=True)
    stage_at = ArrayField(models.DateTimeField(), default=list)
    stage_keys = ArrayField(models.CharField(max_length=12), default=list)
    stage = models.CharField(max_length=12, default="", blank=True)
    met_at = models.DateTimeField(null=True)
    breached_at = models.DateTimeField(null=True)
    breach_cause = models.CharField(max_length=12, choices=Cause, default="", blank=True)
    state = models.CharField(max_length=10, default=sla.State.RUNNING.value)
    resumes_at = models.DateTimeField(null=True)

    objects = ClockQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ticket", "kind", "subject", "cycle"], name="tickets_clock_unique_promise"
            ),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in sla.State]),
                name="tickets_clock_known_state",
            ),
            models.CheckConstraint(
                condition=Q(breached_at__isnull=True) | Q(breached_at=F("due_at")),
                name="tickets_clock_breached_at_its_deadline",
            ),
            models.CheckConstraint(
                condition=Q(state="met", met_at__isnull=False)
                | (~Q(state="met") & Q(met_at__isnull=True)),
                name="tickets_clock_met_has_time",
            ),
            models.CheckConstraint(
                condition=Q(next_at__isnull=True) | Q(state="running"),
                name="tickets_clock_only_running_wakes",
            ),
            models.CheckConstraint(
                condition=Q(state="paused", resumes_at__isnull=False)
                | (~Q(state="paused") & Q(resumes_at__isnull=True)),
                name="tickets_clock_paused_resumes",
            ),
        ]
        indexes = [
            # the task that lets promises follow a corrected calendar
            models.Index(
                fields=["calendar_version", "ticket"],
                condition=Q(state__in=LIVE, breached_at__isnull=True),
                name="tickets_clock_calendar",
            ),
            # the task that closes what nobody objected to
            models.Index(
                fields=["ticket"],
                condition=Q(kind=CONFIRMATION, state="running", breached_at__isnull=False),
                name="tickets_unanswered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}".strip()

    @property
    def is_live(self) -> bool:
        return self.state in LIVE

    def phase(self, now: datetime) -> sla.Phase:
        """What a reader sees now, computed and never waiting for a worker."""
        return sla.phase(
            sla.State(self.state),
            sla.Party(self.party),
            due_at=self.due_at,
            risk_at=self.risk_at,
            met_at=self.met_at,
            resumes_at=self.resumes_at,
            now=now,
        )

    def schedule(self, stages: Sequence[tuple[datetime, str]]) -> None:
        """Set the stages still to come; none wakes anybody unless the clock runs."""
        self.stage_at = [at for at, _ in stages]
        self.stage_keys = [key for _, key in stages]
        running = self.state == sla.State.RUNNING
        self.next_at = self.stage_at[0] if running and self.stage_at else None


class Pause(models.Model):
    """A stretch of waiting in a case; ``subject`` '' stops every clock that the reason stops.

    At ``limit_at`` it ends by itself.
    """

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="pauses")
    subject = models.CharField(max_length=80, default="", blank=True)
    reason = models.SlugField()
    stops = ArrayField(models.CharField(max_length=40))
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    limit_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")),
                name="tickets_pause_ends_after_start",
            ),
            models.UniqueConstraint(
                fields=["ticket", "subject"],
                condition=Q(ended_at__isnull=True),
                name="tickets_pause_one_open",
            ),
        ]

    def __str__(self) -> str:
        return self.reason

    def stops_clock(self, clock: Clock) -> bool:
        """Whether this waiting counts for the clock; legal terms and met promises never stop."""
        return (
            clock.kind in self.stops
            and self.subject in ("", clock.subject)
            and not clock.target.legal
        )


class Explanation(models.Model):
    """The overdue explanation of one breached promise of ours (manual E 4.1).

    Written by the owner, signed by a manager who is not its author; an unsigned one keeps the case
    from being closed. ``missed_at`` is the deadline that it explains, ``attempt`` counts how often
    it was written.
    """

    class State(models.TextChoices):
        DUE = "due", _("To be written")
        SUBMITTED = "submitted", _("Waiting for signature")
        RETURNED = "returned", _("Sent back")
        SIGNED = "signed", _("Signed")
        WITHDRAWN = "withdrawn", _("No longer needed")

    OPEN = (State.DUE, State.SUBMITTED, State.RETURNED)

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="explanations")
    clock = models.ForeignKey(Clock, on_delete=models.CASCADE, related_name="explanations")
    number = models.PositiveSmallIntegerField()
    missed_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.DUE)
    attempt = models.PositiveSmallIntegerField(default=1)
    cause = models.TextField(blank=True)
    remedy = models.TextField(blank=True)
    new_promise_at = models.DateTimeField(null=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    submitted_at = models.DateTimeField(null=True)
    signer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    signed_at = models.DateTimeField(null=True)
    return_reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ticket", "number"], name="tickets_explanation_unique_number"
            ),
            # one breach, one explanation; a withdrawn breach may come true under another level
            models.UniqueConstraint(
                fields=["clock", "missed_at"],
                condition=~Q(state="withdrawn"),
                name="tickets_explanation_once_a_breach",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["due", "submitted", "returned", "signed", "withdrawn"]),
                name="tickets_explanation_known_state",
            ),
            models.CheckConstraint(
                condition=Q(state="signed", signed_at__isnull=False, signer__isnull=False)
                | (~Q(state="signed") & Q(signed_at__isnull=True)),
                name="tickets_explanation_signed_has_time",
            ),
            models.CheckConstraint(
                condition=Q(signer__isnull=True) | Q(author__isnull=True) | ~Q(signer=F("author")),
                name="tickets_explanation_two_people",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.ticket_id}/{self.number}"

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN
