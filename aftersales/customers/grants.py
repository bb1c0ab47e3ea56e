"""The right to see clear personal data: given with a job, ended with it, every look recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from aftersales.accounts.actors import Actor, ActorKind
from aftersales.accounts.models import User
from aftersales.common import dbtime, errors
from aftersales.customers import freetext, permissions
from aftersales.customers.models import (
    AccessLog,
    AccessOutcome,
    Alert,
    AlertKind,
    Contact,
    Grant,
    PersonalField,
)

HOUR = timedelta(hours=1)
# Twice what a busy agent needs; more looks like harvesting.
LOOKS_AN_HOUR = 30
BREAK_GLASS = "break_glass"
BREAK_GLASS_LASTS = HOUR
SHORTEST_REASON = 10


def give(
    *,
    contact_id: int,
    holder: User,
    case_ref: str,
    fields: Sequence[str],
    reason: str,
    now: datetime,
    until: datetime | None = None,
) -> Grant:
    """Let ``holder`` see ``fields`` for this case; ``reason`` is the job (owner, visit, callback).

    Belongs into the transaction that gives the job. Takes no lock. Raises ValueError for unknown
    fields.
    """
    return Grant.objects.create(
        contact_id=contact_id,
        holder=holder,
        case_ref=case_ref,
        fields=_checked(fields),
        reason=reason,
        given_at=now,
        until=until,
    )


def end(
    *,
    case_ref: str,
    now: datetime,
    holder: User | None = None,
    reason: str | None = None,
    job: str | None = None,
) -> int:
    """End the case's live grants, of one holder or one job only if named; returns how many.

    ``reason`` says why (reassigned, resolved). Belongs into the transaction that ends the job.
    Locks the grants, so a look that runs is finished first and a later one is refused.
    """
    grants = Grant.objects.filter(case_ref=case_ref, ended_at__isnull=True)
    if holder is not None:
        grants = grants.filter(holder=holder)
    if job is not None:
        grants = grants.filter(reason=job)
    return grants.update(ended_at=now, ended_reason=reason or "")


def reveal(
    *, contact_id: int, fields: Sequence[str], case_ref: str, purpose: str, by: Actor
) -> dict[str, str]:
    """The clear values of ``fields``, to the holder of a live grant for this case.

    The grant is checked under its lock and the look is recorded in the same transaction, before
    any value is read; without the record there is no value. Refusals are recorded too. It commits
    by itself, so it cannot run inside another transaction. Locks the person's looks, then the
    grant. Raises NotAllowed or NotVisible without a grant, TooMany after 30 looks in an hour.
    """
    wanted = _checked(fields)
    with transaction.atomic(durable=True):
        look = _look(contact_id, wanted, case_ref, purpose, by)
        values = _clear_values(look.contact, wanted) if look.refusal is None else {}
    if look.refusal is not None:
        raise look.refusal
    return values


def break_glass(
    *, contact_id: int, case_ref: str, fields: Sequence[str], reason: str, by: Actor
) -> Grant:
    """A manager opens a contact without a job, for an hour, by a written reason; it is announced.

    Leaves an ``Alert`` row in the same transaction, which an upper app announces. Raises NotAllowed
    for anybody else, Invalid for a reason of under 10 characters, NotVisible for no such contact.
    """
    if by.user is None or not permissions.can_break_glass(by):
        raise errors.NotAllowed()
    if len(reason.strip()) < SHORTEST_REASON:
        raise errors.Invalid(
            errors.FieldError(
                "/reason", "too_short", _("Write why, in at least 10 characters; it is kept.")
            )
        )
    note, _found = freetext.mask_personal_data(reason.strip()[:500])
    with transaction.atomic():
        contact = Contact.objects.filter(pk=contact_id).only("pk").first()
        if contact is None:
            raise errors.NotVisible()
        now = dbtime.database_now()
        grant = Grant.objects.create(
            contact=contact,
            holder=by.user,
            case_ref=case_ref,
            fields=_checked(fields),
            reason=BREAK_GLASS,
            note=note,
            given_at=now,
            until=now + BREAK_GLASS_LASTS,
        )
        Alert.objects.create(
            kind=AlertKind.BREAK_GLASS,
            user=by.user,
            contact=contact,
            case_ref=case_ref,
            note=note,
            raised_at=now,
        )
    return grant


def take_alerts(now: datetime, limit: int = 100) -> list[Alert]:
    """Alerts nobody was told of yet, stamped as announced; for the caller's transaction.

    The caller writes its messages in that same transaction, so each is told exactly once. Locks
    the rows and passes over those in other hands.
    """
    alerts = list(
        Alert.objects.filter(announced_at__isnull=True)
        .order_by("pk")
        .select_for_update(skip_locked=True, no_key=True, of=("self",))
        .select_related("user")[:limit]
    )
    Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(announced_at=now)
    return alerts


@dataclass(frozen=True)
class _Look:
    """How one request to see something was decided, once its record is written."""

    contact: Contact
    refusal: errors.DomainError | None


def _look(contact_id: int, fields: list[str], case_ref: str, purpose: str, by: Actor) -> _Look:
    contact = Contact.objects.filter(pk=contact_id).first()
    if contact is None:
        raise errors.NotVisible()
    user = by.user
    _lock_looks_of(user)
    now = dbtime.database_now()
    grant: Grant | None = None
    refusal: errors.DomainError | None = _too_many(user, now) if user else None
    outcome = AccessOutcome.TOO_MANY
    if user is not None and refusal is None:
        live = (
            Grant.objects.live(now)
            .filter(contact=contact, holder=user, case_ref=case_ref, fields__contains=fields)
            .order_by("pk")
            .select_for_update(no_key=True, of=("self",))
        )
        # Not first(): its LIMIT would stop at a grant that is ended while we wait for it.
        grant = next(iter(live), None)
    if refusal is None:
        outcome = AccessOutcome.NO_GRANT if grant is None else AccessOutcome.SHOWN
        refusal = _no_grant(contact, by) if grant is None else None
    AccessLog.objects.create(
        at=now,
        actor=by.label,
        user=user,
        contact=contact,
        case_ref=case_ref,
        fields=fields,
        purpose=freetext.mask_personal_data(purpose)[0][:200],
        outcome=outcome,
        grant_id=grant.pk if grant else None,
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", ""))[:64],
    )
    return _Look(contact, refusal)


def _lock_looks_of(user: User | None) -> None:
    """One look at a time for each person, or two at once would both be the thirtieth."""
    if user is not None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
                [f"customers.reveal:{user.pk}"],
            )


def _too_many(user: User, now: datetime) -> errors.TooMany | None:
    """The refusal of one look too many; the first one in an hour leaves an alert."""
    shown = AccessLog.objects.filter(
        user=user, at__gt=now - HOUR, outcome=AccessOutcome.SHOWN
    ).order_by("-at")
    moments = list(shown.values_list("at", flat=True)[:LOOKS_AN_HOUR])
    if len(moments) < LOOKS_AN_HOUR:
        return None
    told = Alert.objects.filter(user=user, kind=AlertKind.TOO_MANY, raised_at__gt=now - HOUR)
    if not told.exists():
        Alert.objects.create(kind=AlertKind.TOO_MANY, user=user, raised_at=now)
    wait = moments[-1] + HOUR - now
    return errors.TooMany(
        retry_after=max(1, -(-wait // timedelta(seconds=1))),
        detail=_("You have opened personal data unusually often. Your manager has been told."),
    )


def _no_grant(contact: Contact, by: Actor) -> errors.DomainError:
    """Staff know that the contact exists; an outsider does not even learn that."""
    own = by.shop is not None and by.shop.pk == contact.shop_id
    if by.kind == ActorKind.STAFF or own:
        return errors.NotAllowed(
            _("Personal data is shown to whoever does the job. Ask to be given the case.")
        )
    return errors.NotVisible()


def _clear_values(contact: Contact, fields: list[str]) -> dict[str, str]:
    sealed = {name: getattr(contact, name) for name in fields}
    return {name: value.clear() if value else "" for name, value in sealed.items()}


def _checked(fields: Sequence[str]) -> list[str]:
    wanted = [name for name in PersonalField.values if name in fields]
    if not wanted or set(fields) - set(wanted):
        raise ValueError("Name one or more of: " + ", ".join(PersonalField.values))
    return wanted
