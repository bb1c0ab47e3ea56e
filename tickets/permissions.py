"""Who may do what with a case: predicates of (actor, ticket), asked by workflow and by templates.

The table in tickets.states names them. They look at the rows in hand and never at the database.
"""

from aftersales.accounts.actors import Actor, ActorKind
from aftersales.accounts.models import Role
from tickets import states
from tickets.models import Explanation, Ticket
from tickets.models.ticket import READERS


def may_see(actor: Actor, ticket: Ticket) -> bool:
    """The one-row twin of TicketQuerySet.visible_to."""
    if actor.kind == ActorKind.SYSTEM:
        return True
    if actor.kind == ActorKind.STAFF and actor.has_role(*READERS):
        return True
    if ticket.kind in states.INTERNAL_KINDS:
        return False
    return is_own_case(actor, ticket)


def is_own_case(actor: Actor, ticket: Ticket) -> bool:
    """A shop's or a customer's own case, or one that a dealer passed on."""
    if actor.kind == ActorKind.SHOP:
        return actor.shop is not None and ticket.shop_id == actor.shop.pk
    if actor.kind == ActorKind.CUSTOMER:
        return actor.contact_id is not None and ticket.contact_id == actor.contact_id
    return (
        actor.has_role(Role.DEALER)
        and actor.user is not None
        and ticket.recorded_by_id == actor.user.pk
    )


def may_take_in(actor: Actor) -> bool:
    """Who answers customers takes in their reports; shops, dealers and customers report."""
    return actor.kind not in (ActorKind.STAFF, ActorKind.PROVIDER) or actor.has_role(
        Role.AGENT, Role.ENGINEER, Role.SUPERVISOR, Role.MANAGER, Role.DEALER
    )


def is_complained_of(actor: Actor, ticket: Ticket) -> bool:
    return actor.user is not None and ticket.complained_of_id == actor.user.pk


def supervises(actor: Actor, ticket: Ticket) -> bool:
    """A supervisor of the team that has the case, unless the complaint is about them."""
    return (
        actor.has_role(Role.SUPERVISOR)
        and actor.user is not None
        and actor.user.team_id == ticket.team_id
        and not is_complained_of(actor, ticket)
    )


def may_take(actor: Actor, ticket: Ticket) -> bool:
    """An agent or engineer of the team takes a case that nobody owns."""
    return (
        actor.has_role(Role.AGENT, Role.ENGINEER)
        and actor.user is not None
        and actor.user.team_id == ticket.team_id
        and ticket.owner_id is None
        and not is_complained_of(actor, ticket)
    )


def may_assign_others(actor: Actor, ticket: Ticket) -> bool:
    return supervises(actor, ticket) or (
        actor.has_role(Role.MANAGER) and not is_complained_of(actor, ticket)
    )


def may_assign(actor: Actor, ticket: Ticket) -> bool:
    return may_assign_others(actor, ticket) or may_take(actor, ticket)


def may_handle(actor: Actor, ticket: Ticket) -> bool:
    """The owner handles the case; the team's supervisor may step in."""
    return ticket.is_owned_by(actor.user) or supervises(actor, ticket)


def may_reply(actor: Actor, ticket: Ticket) -> bool:
    return may_handle(actor, ticket)


def may_write_as_customer(actor: Actor, ticket: Ticket) -> bool:
    return is_own_case(actor, ticket)


def may_note(actor: Actor, ticket: Ticket) -> bool:
    return actor.kind == ActorKind.STAFF and actor.has_role(*READERS)


def may_attach(actor: Actor, ticket: Ticket) -> bool:
    return may_handle(actor, ticket) or is_own_case(actor, ticket)


def may_grade(actor: Actor, ticket: Ticket) -> bool:
    """Manual E 2.2: a supervisor or a support engineer decides the level."""
    return not is_complained_of(actor, ticket) and (
        supervises(actor, ticket) or actor.has_role(Role.ENGINEER)
    )


def may_file(actor: Actor, ticket: Ticket) -> bool:
    """Manual E 2.2: urgent and important cases are filed by the after-sales manager."""
    return actor.has_role(Role.MANAGER) and not is_complained_of(actor, ticket)


def may_urge(actor: Actor, ticket: Ticket) -> bool:
    """The customer, or whoever takes the customer's call."""
    return is_own_case(actor, ticket) or may_note(actor, ticket)


def may_close(actor: Actor, ticket: Ticket) -> bool:
    return (
        actor.kind == ActorKind.SYSTEM
        or may_handle(actor, ticket)
        or (actor.has_role(Role.MANAGER) and not is_complained_of(actor, ticket))
    )


def may_reopen(actor: Actor, ticket: Ticket) -> bool:
    return may_close(actor, ticket) or is_own_case(actor, ticket)


def may_cancel(actor: Actor, ticket: Ticket) -> bool:
    return may_assign_others(actor, ticket) or is_own_case(actor, ticket)


def may_explain(actor: Actor, ticket: Ticket) -> bool:
    """The owner explains a missed deadline; where nobody owns the case, the team's supervisor."""
    if ticket.owner_id is None:
        return supervises(actor, ticket)
    return ticket.is_owned_by(actor.user)


def may_sign(actor: Actor, explanation: Explanation) -> bool:
    """Manual E 4.1: a manager signs, never the explanation's own author."""
    return (
        actor.has_role(Role.MANAGER)
        and actor.user is not None
        and explanation.author_id != actor.user.pk
    )


def allowed_events(actor: Actor, ticket: Ticket) -> list[str]:
    """What this actor may do with the case as it stands, by the table in tickets.states."""
    return [
        event
        for event, transition in states.TRANSITIONS.items()
        if ticket.status in transition.sources and globals()[transition.may](actor, ticket)
    ]
