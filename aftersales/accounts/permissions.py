"""Who may do what to accounts and clients, and what a key may be used for."""

from typing import Any, cast

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from aftersales.accounts.actors import Actor, ActorKind
from aftersales.accounts.models import ApiClient, Role, User


def can_administer(actor: Actor) -> bool:
    """Accounts, teams, shops, clients and keys are the administrators' alone."""
    return actor.has_role(Role.ADMINISTRATOR) or actor.kind == ActorKind.SYSTEM


def can_set_roles(actor: Actor, user: User) -> bool:
    """Nobody changes their own roles, administrators included: it takes two."""
    return can_administer(actor) and (actor.user is None or actor.user.pk != user.pk)


class KeyMayCall(BasePermission):
    """A staff key has its user's rights, asked by workflow. A shop's key needs the scope that the
    view names for the action in ``shop_scopes``; where none is named, shops are refused.
    """

    message = _("This key lacks the scope for this call.")
    code = "scope_missing"

    def has_permission(self, request: Request, view: Any) -> bool:
        client = cast("ApiClient | None", request.auth)
        if client is None or client.shop_id is None or not _is_offered(request, view):
            return True
        action = getattr(view, "action", None) or (request.method or "").lower()
        needed = getattr(view, "shop_scopes", {}).get(action)
        return needed is not None and needed in client.scopes


class StaffOnly(BasePermission):
    """Nothing for shops, whatever their scopes."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, User) or not _is_offered(request, view)


def _is_offered(request: Request, view: Any) -> bool:
    """A method that the route does not have is answered as that, whoever asks."""
    offered: bool = request.method in view.allowed_methods
    return offered
