"""Working on a case: who owns it, what is said, when it waits."""

import uuid
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from aftersales.accounts.actors import SYSTEM, Actor
from aftersales.accounts.models import Role, User
from aftersales.common import errors
from aftersales.customers import freetext, grants
from tickets import permissions, states
from tickets.clocks import Case
from tickets.models import Message, Pause, Ticket
from tickets.models.clock import ACKNOWLEDGE, RESPONSE
from tickets.workflow.steps import edited, move, step

HANDLERS = (Role.AGENT, Role.ENGINEER, Role.SUPERVISOR)
OWNER = "owner"  # the job that a case's owner holds the customer's data for
CONTACT_FIELDS = ["name", "phone", "email", "address"]


def assign_ticket(
    ticket_id: int, *, owner_id: int, by: Actor, reason: str = "", version: int | None = None
) -> Ticket:
    """Give the case to one owner, and with it the right to see the customer's data.

    The customer is told name and staff number, which is the acknowledgement by a person. An agent
    or engineer may take a case of their team that nobody owns; giving it to others is for the
    team's supervisor and the manager. Locks the ticket, then the grants. Raises Invalid for an
    owner who is away for good, has no such role, or is the person complained of.
    """
    with step(ticket_id, "assign", by=by, version=version) as case:
        ticket = case.ticket
        owner = User.objects.filter(pk=owner_id, is_active=True).first()
        if owner is None or not owner.has_role(*HANDLERS):
            raise errors.Invalid(
                errors.FieldError(
                    "/owner", "unknown_owner", _("Choose an active agent, engineer or supervisor.")
                )
            )
        if owner.pk == ticket.complained_of_id:
            raise errors.Invalid(
                errors.FieldError(
                    "/owner",
                    "complained_of",
                    _("The complaint is about this person; choose somebody else."),
                )
            )
        taking = by.user is not None and owner.pk == by.user.pk and permissions.may_take(by, ticket)
        if not taking and not permissions.may_assign_others(by, ticket):
            raise errors.NotAllowed()
        if owner.pk == ticket.owner_id:
            return ticket
        before = ticket.owner
        end_grant(case, job=OWNER, reason="reassigned")
        case.change(owner=owner, team=owner.team or ticket.team)
        give_grant(case, owner)
        if ticket.status == states.Status.NEW:
            move(case, states.Status.ASSIGNED)
        case.meet(ACKNOWLEDGE)
        case.record(
            "ticket.assigned",
            by=by,
            reason=reason,
            before={"owner": before.staff_number if before else None},
            after={"owner": owner.staff_number},
        )
        edited(case)
    return ticket


def name_complained_of(
    ticket_id: int, *, user_id: int, by: Actor, version: int | None = None
) -> Ticket:
    """Note whom a complaint is about; from then on this person cannot handle it (manual B).

    Raises Conflict while that person owns the case: give it to somebody else first.
    """
    with step(ticket_id, "name_complained_of", by=by, version=version) as case:
        person = User.objects.filter(pk=user_id).first()
        if person is None:
            raise errors.Invalid(
                errors.FieldError("/person", "unknown_person", _("Choose a member of staff."))
            )
        if case.ticket.owner_id == person.pk:
            raise errors.Conflict(
                _("This person owns the case; give it to somebody else first."),
                code="owns_the_case",
            )
        case.change(complained_of=person)
        case.record("ticket.complained_of", by=by, after={"person": person.staff_number})
        edited(case)
    return case.ticket


def give_grant(case: Case, holder: User) -> None:
    """The owner sees the contact in clear for as long as the case is theirs."""
    if case.ticket.contact_id is not None:
        grants.give(
            contact_id=case.ticket.contact_id,
            holder=holder,
            case_ref=str(case.ticket.public_id),
            fields=CONTACT_FIELDS,
            reason=OWNER,
            now=case.now,
        )


def end_grant(case: Case, *, reason: str, job: str | None = None) -> None:
    grants.end(case_ref=str(case.ticket.public_id), job=job, reason=reason, now=case.now)


def start_ticket(ticket_id: int, *, by: Actor, version: int | None = None) -> Ticket:
    """The owner begins the work."""
    with step(ticket_id, "start", by=by, version=version) as case:
        case.record("ticket.started", by=by)
        edited(case)
    return case.ticket


@dataclass(frozen=True)
class Words:
    """A message to be written; ``submission_id`` makes a form that is sent twice one message."""

    body: str
    channel: str = ""
    submission_id: uuid.UUID | None = None


def reply_to_customer(ticket_id: int, words: Words, *, by: Actor) -> Message:
    """A member of staff writes to the customer: the first response of this cycle.

    Acknowledges, too; brings an assigned case into progress. Needs no version.
    """
    with step(ticket_id, "reply", by=by) as case:
        message, is_new = write_message(case, Message.Kind.REPLY, words, by=by)
        if is_new:
            case.meet(ACKNOWLEDGE)
            case.meet(RESPONSE)
            if case.ticket.status == states.Status.ASSIGNED:
                move(case, states.Status.IN_PROGRESS)
            case.record("ticket.replied", by=by, message=str(message.public_id))
    return message


def write_note(ticket_id: int, words: Words, *, by: Actor) -> Message:
    """An internal note: no promise is kept by it, and the customer never sees it."""
    with step(ticket_id, "note", by=by) as case:
        message, is_new = write_message(case, Message.Kind.NOTE, words, by=by)
        if is_new:
            case.record("ticket.noted", by=by, message=str(message.public_id))
    return message


def write_as_customer(ticket_id: int, words: Words, *, by: Actor) -> Message:
    """The customer, or their shop, writes; a wait for the customer ends by it."""
    with step(ticket_id, "write", by=by) as case:
        message, is_new = write_message(case, Message.Kind.CUSTOMER, words, by=by)
        if is_new:
            case.record("ticket.customer_wrote", by=by, message=str(message.public_id))
            end_wait_for_customer(case, by=by, because="customer_wrote")
    return message


def urge_ticket(ticket_id: int, *, by: Actor) -> Ticket:
    """The customer urges (催单): counted and shown; the second one alerts the supervisor."""
    with step(ticket_id, "urge", by=by) as case:
        case.change(urges=case.ticket.urges + 1)
        case.record("ticket.urged", by=by, urges=case.ticket.urges)
    return case.ticket


def wait_ticket(ticket_id: int, *, reason: str, by: Actor, version: int | None = None) -> Ticket:
    """The case waits for a named reason, which stops the clocks that the policy says.

    Raises Invalid for a reason that the case's policy does not name. It ends by ``resume_ticket``,
    by what the reason waits for, or when its longest time is over.
    """
    with step(ticket_id, "wait", by=by, version=version) as case:
        found = case.policy.pause_reasons.get(reason)
        if found is None:
            raise errors.Invalid(
                errors.FieldError(
                    "/reason",
                    "unknown_reason",
                    _("Choose one of the reasons for waiting that your policy names."),
                ),
                choices=sorted(case.policy.pause_reasons),
            )
        pause = case.pause(found)
        case.change(waiting_reason=reason)
        case.record("ticket.waiting", by=by, waiting_for=reason, until=pause.limit_at.isoformat())
        edited(case)
    return case.ticket


def resume_ticket(ticket_id: int, *, by: Actor, version: int | None = None) -> Ticket:
    """What was waited for has come; the clocks run on."""
    with step(ticket_id, "resume", by=by, version=version) as case:
        _end_wait(case, by=by, because="resumed")
        edited(case)
    return case.ticket


def end_lapsed_wait(case: Case, pause: Pause) -> None:
    """The longest wait is over: the engine has ended the pause, the case is worked on again."""
    if case.ticket.status == states.Status.WAITING and pause.subject == "":
        move(case, states.Status.IN_PROGRESS)
        case.record(
            "ticket.resumed",
            by=SYSTEM,
            at=pause.limit_at,
            because="lapsed",
            waited_for=pause.reason,
        )


def end_wait_for_customer(case: Case, *, by: Actor, because: str) -> None:
    """The customer has answered; nothing happens where the case waits for something else."""
    reason = case.policy.pause_reasons.get(case.ticket.waiting_reason)
    if reason is not None and reason.ends_on_customer_message:
        _end_wait(case, by=by, because=because)


def _end_wait(case: Case, *, by: Actor, because: str) -> None:
    case.record("ticket.resumed", by=by, because=because, waited_for=case.ticket.waiting_reason)
    case.resume()
    move(case, states.Status.IN_PROGRESS)


def write_message(
    case: Case, kind: Message.Kind, words: Words, *, by: Actor
) -> tuple[Message, bool]:
    """The message, and whether it is new; what personal data it holds is masked in ``body``."""
    if words.submission_id is not None:
        known = Message.objects.filter(
            ticket=case.ticket, submission_id=words.submission_id
        ).first()
        if known is not None:
            return known, False
    masked, found = freetext.mask_personal_data(words.body)
    message = Message(
        ticket=case.ticket,
        kind=kind,
        body=masked,
        author=by.user,
        actor_kind=by.kind,
        channel=words.channel,
        created_at=case.now,
        submission_id=words.submission_id,
    )
    if found:
        message.original = words.body
    message.save(force_insert=True)
    return message, True
