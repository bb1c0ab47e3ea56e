"""Policies and calendars as data: what was promised, by which version, counted by which days."""

from functools import cached_property

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from aftersales.common import worktime
from tickets import sla, states


class Calendar(models.Model):
    """One set of service hours of the firm; its versions hold the facts."""

    code = models.SlugField(unique=True)
    name_zh = models.CharField(max_length=80)
    name_en = models.CharField(max_length=80)

    def __str__(self) -> str:
        return self.code


class CalendarVersion(models.Model):
    """The windows of a week in one zone, corrected by dates, valid to the end of ``until``.

    ``week`` maps "0" (Monday) to "6" onto lists of ["HH:MM", "HH:MM"]. Immutable once published;
    a correction is a new version. After ``settled_until`` make-up days are not known yet.
    """

    calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    zone = models.CharField(max_length=40)
    week = models.JSONField()
    until = models.DateField()
    settled_until = models.DateField()
    published_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["calendar", "number"], name="tickets_calendarversion_unique_number"
            )
        ]

    def __str__(self) -> str:
        return f"{self.calendar_id}/{self.number}"

    def worktime(self, *, endless: bool = False) -> worktime.Calendar:
        """The arithmetic of this version, reading its dates; ``endless`` forgets ``until``."""
        return worktime.Calendar(
            self.zone,
            {int(day): [tuple(window) for window in windows] for day, windows in self.week.items()},
            {row.on: [tuple(window) for window in row.windows] for row in self.dates.all()},
            until=None if endless else self.until,
        )


class CalendarDate(models.Model):
    """One date that differs from the week: a holiday, a make-up working day, a half day.

    ``windows`` as in CalendarVersion; an empty list is a closed day.
    """

    class Kind(models.TextChoices):
        HOLIDAY = "holiday", _("Public holiday")
        MAKE_UP = "make_up", _("Make-up working day")
        EXCEPTION = "exception", _("The firm's own exception")

    version = models.ForeignKey(CalendarVersion, on_delete=models.CASCADE, related_name="dates")
    on = models.DateField()
    kind = models.CharField(max_length=12, choices=Kind)
    windows = models.JSONField(default=list)
    name_zh = models.CharField(max_length=80, blank=True)
    name_en = models.CharField(max_length=80, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "on"], name="tickets_calendardate_unique_date"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["holiday", "make_up", "exception"]),
                name="tickets_calendardate_known_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.on}: {self.kind}"


class PolicyVersion(models.Model):
    """One published set of promises; a case is judged for ever by the one in force at its receipt.

    ``figures`` holds the profile's single values by key (see the profile file), ``in_force`` the
    time it rules; two versions never rule at once.
    """

    profile = models.CharField(max_length=40)
    number = models.PositiveIntegerField(unique=True)
    in_force = DateTimeRangeField()
    published_at = models.DateTimeField()
    default_calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, related_name="+")
    figures = models.JSONField(default=dict)

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="tickets_policyversion_one_in_force",
                expressions=[("in_force", RangeOperators.OVERLAPS)],
            )
        ]

    def __str__(self) -> str:
        return f"{self.profile} {self.number}"


class LevelDefinition(models.Model):
    """What makes a case this level, in the policy's words (manual E 2.2: definition, criteria)."""

    policy = models.ForeignKey(PolicyVersion, on_delete=models.CASCADE, related_name="levels")
    level = models.CharField(max_length=12, choices=states.Level)
    definition_zh = models.CharField(max_length=200)
    definition_en = models.CharField(max_length=200)
    criteria_zh = models.CharField(max_length=200)
    criteria_en = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "level"], name="tickets_leveldefinition_unique_level"
            )
        ]

    def __str__(self) -> str:
        return self.level


class Target(models.Model):
    """One promise of a policy: which clock, for which cases, how long, with which stages.

    An empty match field fits every case. ``budgets`` is a list of tickets.sla.Budget as JSON, the
    earliest deadline of them counts; an empty list says that such cases have no such clock.
    ``stages`` is a list of tickets.sla.Stage as JSON.
    """

    policy = models.ForeignKey(PolicyVersion, on_delete=models.CASCADE, related_name="targets")
    clock_kind = models.CharField(max_length=40)
    ticket_kind = models.CharField(max_length=20, blank=True)
    channel = models.CharField(max_length=20, blank=True)
    level = models.CharField(max_length=12, blank=True)
    urgency = models.CharField(max_length=12, blank=True)
    category = models.CharField(max_length=40, blank=True)
    product_tier = models.CharField(max_length=20, blank=True)
    customer_tier = models.CharField(max_length=20, blank=True)
    calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, related_name="+")
    party = models.CharField(
        max_length=10, default="us", choices=[(party.value, party.value) for party in sla.Party]
    )
    budgets = models.JSONField(default=list)
    stages = models.JSONField(default=list)
    explain = models.BooleanField(
        default=True, help_text=_("A breach asks the owner for an overdue explanation.")
    )
    legal = models.BooleanField(default=False, help_text=_("A term set by law: it never pauses."))

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(party__in=[party.value for party in sla.Party]),
                name="tickets_target_known_party",
            )
        ]

    # Closest match first: the kind of case before its channel (manual D 5.2 against 1.2.2), then
    # level, urgency, product, customer.
    MATCHES = (
        "ticket_kind",
        "channel",
        "level",
        "urgency",
        "category",
        "product_tier",
        "customer_tier",
    )

    def __str__(self) -> str:
        return f"{self.clock_kind} {self.level}".strip()

    @property
    def closeness(self) -> tuple[bool, ...]:
        """Sorts targets that fit one case: the greatest is the closest match."""
        return tuple(getattr(self, name) != "" for name in self.MATCHES)

    @cached_property
    def parsed_budgets(self) -> list[sla.Budget]:
        return [sla.Budget.from_json(value) for value in self.budgets]

    @cached_property
    def parsed_stages(self) -> list[sla.Stage]:
        return [sla.Stage.from_json(value) for value in self.stages]


class GradingRule(models.Model):
    """Proposes a level when all of its conditions hold; of several, the strictest level wins.

    ``words``: one of them stands in the text. ``urgency``, ``ticket_kind``: the case says so.
    ``batch_cases`` in ``batch_days``: so many cases of one model lie that close together.
    """

    policy = models.ForeignKey(
        PolicyVersion, on_delete=models.CASCADE, related_name="grading_rules"
    )
    code = models.SlugField()
    level = models.CharField(max_length=12, choices=states.Level)
    words = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    urgency = models.CharField(max_length=12, blank=True)
    ticket_kind = models.CharField(max_length=20, blank=True)
    batch_cases = models.PositiveSmallIntegerField(null=True, blank=True)
    batch_days = models.PositiveSmallIntegerField(null=True, blank=True)
    reason_zh = models.CharField(max_length=200)
    reason_en = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "code"], name="tickets_gradingrule_unique_code"
            ),
            models.CheckConstraint(
                condition=Q(batch_cases__isnull=True, batch_days__isnull=True)
                | Q(batch_cases__gt=0, batch_days__gt=0),
                name="tickets_gradingrule_whole_batch",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class PauseReason(models.Model):
    """A named reason to wait: which clocks it stops, and for how long at the most.

    ``stops`` lists clock kinds; first response and legal terms are never among them. ``longest``
    in days: when it is over the wait ends by itself.
    """

    policy = models.ForeignKey(
        PolicyVersion, on_delete=models.CASCADE, related_name="pause_reasons"
    )
    code = models.SlugField()
    name_zh = models.CharField(max_length=80)
    name_en = models.CharField(max_length=80)
    stops = ArrayField(models.CharField(max_length=40), default=list)
    longest = models.PositiveSmallIntegerField()
    ends_on_customer_message = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "code"], name="tickets_pausereason_unique_code"
            ),
            models.CheckConstraint(
                condition=~Q(stops__overlap=["acknowledge", "response"]),
                name="tickets_pausereason_never_first_response",
                violation_error_message=_("The first response never pauses."),
            ),
        ]

    def __str__(self) -> str:
        return self.code


class ComplaintPlan(models.Model):
    """The handling plan of one class of complaint, a checklist that begins with the apology."""

    policy = models.ForeignKey(
        PolicyVersion, on_delete=models.CASCADE, related_name="complaint_plans"
    )
    complaint_class = models.CharField(max_length=12, choices=states.ComplaintClass)
    steps_zh = ArrayField(models.CharField(max_length=200))
    steps_en = ArrayField(models.CharField(max_length=200))

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "complaint_class"], name="tickets_complaintplan_unique_class"
            )
        ]

    def __str__(self) -> str:
        return self.complaint_class
