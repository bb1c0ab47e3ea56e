"""Severity: a level proposed by rules, decided by a person, filed by the manager."""

from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _

from aftersales.accounts.actors import Actor
from aftersales.common import errors
from aftersales.customers.freetext import masked
from tickets import clocks, states
from tickets.clocks.policies import Policy
from tickets.models import GradingForm, GradingRule, Ticket
from tickets.workflow.steps import edited, step

STRICTEST_FIRST = list(states.Level)


def propose_level(policy: Policy, ticket: Ticket, now: datetime) -> tuple[states.Level, list[str]]:
    """The strictest level that a rule of the policy proposes, and the codes of the rules that do.

    Without any, the case is general. Counts the model's recent cases only if a rule asks for it.
    """
    text = "\n".join([ticket.subject, ticket.description]).casefold()
    fitting = [rule for rule in policy.grading_rules if _fits(rule, ticket, text, now)]
    level = min(
        (states.Level(rule.level) for rule in fitting),
        key=STRICTEST_FIRST.index,
        default=states.Level.GENERAL,
    )
    return level, [rule.code for rule in fitting if rule.level == level]


def _fits(rule: GradingRule, ticket: Ticket, text: str, now: datetime) -> bool:
    return (
        (not rule.words or any(word.casefold() in text for word in rule.words))
        and rule.urgency in ("", ticket.urgency)
        and rule.ticket_kind in ("", ticket.kind)
        and (rule.batch_cases is None or _is_batch(rule, ticket, now))
    )


def _is_batch(rule: GradingRule, ticket: Ticket, now: datetime) -> bool:
    """So many cases of the model, this one among them, within the rule's days."""
    if ticket.product_id is None or rule.batch_cases is None or rule.batch_days is None:
        return False
    recent = Ticket.objects.filter(
        product=ticket.product_id, created_at__gte=now - timedelta(days=rule.batch_days)
    ).exclude(status=states.Status.CANCELLED)
    others = recent[: rule.batch_cases - 1].count()
    return others >= rule.batch_cases - 1


def grade_ticket(
    ticket_id: int,
    *,
    level: str,
    by: Actor,
    reason: str = "",
    version: int | None = None,
) -> Ticket:
    """Decide the level on the grading approval form; the promises are matched anew from receipt.

    A decision that differs from the level before says why. Urgent and important cases then wait
    for the manager's filing; grading never blocks the work. Raises Invalid for an unknown level or
    a missing reason.
    """
    with step(ticket_id, "grade", by=by, version=version) as case:
        ticket = case.ticket
        if level not in states.Level.values:
            raise errors.Invalid(
                errors.FieldError(
                    "/level", "unknown_level", _("Choose urgent, important or general.")
                )
            )
        if level != ticket.level and not reason.strip():
            raise errors.Invalid(
                errors.FieldError(
                    "/reason",
                    "reason_missing",
                    _("This differs from the level so far; write down why."),
                )
            )
        first_decision = ticket.grading == states.Grading.PROPOSED and not _was_decided(ticket)
        form = GradingForm.objects.create(
            ticket=ticket,
            number=ticket.grading_forms.count() + 1,
            from_level=ticket.level,
            to_level=level,
            reason=masked(reason),
            decided_by=by.user,
            decided_at=case.now,
        )
        case.record(
            "ticket.graded",
            by=by,
            reason=reason,
            before={"level": ticket.level, "grading": ticket.grading},
            after={"level": level, "grading": states.Grading.CONFIRMED.value},
            form=form.number,
        )
        case.change(level=level, grading=states.Grading.CONFIRMED)
        clocks.regrade(case, first_decision=first_decision)
        edited(case)
    return case.ticket


def file_grading(ticket_id: int, *, by: Actor, version: int | None = None) -> Ticket:
    """The manager files the decided level of an urgent or important case (manual E 2.2).

    Raises Conflict when there is no decision to file.
    """
    with step(ticket_id, "file", by=by, version=version) as case:
        form = _form_to_file(case.ticket)
        form.filed_by, form.filed_at = by.user, case.now
        form.save(update_fields=["filed_by", "filed_at"])
        case.change(grading=states.Grading.FILED)
        case.record("ticket.filed", by=by, form=form.number, level=case.ticket.level)
        edited(case)
    return case.ticket


def return_filing(ticket_id: int, *, reason: str, by: Actor, version: int | None = None) -> Ticket:
    """The manager sends the grading back; the level stands until it is decided again."""
    with step(ticket_id, "return_filing", by=by, version=version) as case:
        form = _form_to_file(case.ticket)
        form.returned_by, form.returned_at = by.user, case.now
        form.return_reason = masked(reason)
        form.save(update_fields=["returned_by", "returned_at", "return_reason"])
        case.change(grading=states.Grading.PROPOSED)
        case.record("ticket.filing_returned", by=by, form=form.number, reason=reason)
        edited(case)
    return case.ticket


def _was_decided(ticket: Ticket) -> bool:
    return ticket.grading_forms.filter(decided_by__isnull=False).exists()


def _form_to_file(ticket: Ticket) -> GradingForm:
    if ticket.grading != states.Grading.CONFIRMED or ticket.level not in states.FILED_LEVELS:
        raise errors.Conflict(
            _("There is no decided urgent or important level to file."), code="nothing_to_file"
        )
    return ticket.grading_forms.latest("number")
