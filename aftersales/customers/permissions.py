"""Who may ask for clear personal data at all; the grant decides on each look."""

from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role


def can_break_glass(actor: Actor) -> bool:
    """Managers only; an administrator has no right to personal data by that role."""
    return actor.has_role(Role.MANAGER)
