"""Every change to an account, a client or a key that somebody may ask about later."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from allauth.mfa.models import Authenticator
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from aftersales.accounts import actors, limits, permissions
from aftersales.accounts.actors import Actor
from aftersales.accounts.models import (
    AccountEvent,
    ApiClient,
    ApiKey,
    Role,
    RoleRequirement,
    Team,
    User,
)
from aftersales.common import errors


def create_user(*, by: Actor, password: str | None = None, **fields: Any) -> User:
    """A new account; without a password its owner sets one by the reset mail.

    Raises NotAllowed, and Django's ValidationError for fields that do not fit.
    """
    _require(permissions.can_administer(by))
    skills = fields.pop("skills", [])
    user = User(**fields)
    user.set_password(password)
    user.full_clean(exclude=["password"])
    with transaction.atomic():
        user.save()
        user.skills.set(skills)
        _note("account.created", by=by, user=user, roles=sorted(user.roles))
    return user


def set_roles(user_id: int, roles: Iterable[str], *, by: Actor) -> User:
    """Give somebody these roles and no others. Locks the account and the actor's own, by id.

    Raises NotAllowed for one's own roles, for whoever is no administrator (any more), and Invalid
    for an unknown role.
    """
    wanted = sorted(set(roles))
    if not set(wanted) <= set(Role.values):
        raise errors.Invalid(
            errors.FieldError("/roles", "unknown_role", _("Choose from the list of roles."))
        )
    with transaction.atomic():
        user, actor = _lock_pair(user_id, by)
        _require(permissions.can_set_roles(actor, user), OWN_ROLES)
        before = sorted(user.roles)
        if before != wanted:
            user.roles = wanted
            user.save(update_fields=["roles"])
            _note("account.roles_set", by=by, user=user, before=before, after=wanted)
    return user


def set_active(user_id: int, active: bool, *, by: Actor) -> User:
    """Let somebody in or keep them out, pages and keys alike, from their next request on.

    Locks like ``set_roles``. Raises NotAllowed, also for one's own account.
    """
    with transaction.atomic():
        user, actor = _lock_pair(user_id, by)
        _require(permissions.can_set_roles(actor, user), OWN_ROLES)
        if user.is_active != active:
            user.is_active = active
            user.save(update_fields=["is_active"])
            _note("account.enabled" if active else "account.disabled", by=by, user=user)
    return user


def set_password(user: User, password: str) -> None:
    """A new password ends every session of the account, and its wrong codes are forgotten."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        limits.clear(limits.SECOND_FACTOR, str(user.pk))
        _note("account.password_set", by=actors.staff(user), user=user)


def reset_second_factor(user_id: int, *, by: Actor) -> None:
    """For a lost phone: remove the second factor and its recovery codes; a new one is set up
    at the next sign-in. Raises NotAllowed, also for one's own account.
    """
    with transaction.atomic():
        user, actor = _lock_pair(user_id, by)
        _require(permissions.can_set_roles(actor, user), OWN_ROLES)
        Authenticator.objects.filter(user=user).delete()
        _note("account.second_factor_reset", by=by, user=user)


def require_second_factor(role: str, required: bool, *, by: Actor) -> RoleRequirement:
    """Oblige everybody who holds ``role`` to a second factor, or free them. Raises NotAllowed."""
    _require(permissions.can_administer(by))
    row, _created = RoleRequirement.objects.update_or_create(
        role=role, defaults={"second_factor": required}
    )
    return row


def choose_intake_team(team_id: int, *, by: Actor) -> Team:
    """Cases that no rule places go to this team from now on. Locks all teams. Raises NotAllowed."""
    _require(permissions.can_administer(by))
    with transaction.atomic():
        teams = {team.pk: team for team in Team.objects.select_for_update().order_by("pk")}
        chosen = teams.get(team_id)
        if chosen is None:
            raise errors.NotVisible()
        Team.objects.filter(is_intake=True).exclude(pk=team_id).update(is_intake=False)
        chosen.is_intake = True
        chosen.save(update_fields=["is_intake"])
    return chosen


def issue_key(
    client_id: int, *, name: str, by: Actor, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key of a client; its secret is returned this once. Raises NotAllowed, NotVisible."""
    _require(permissions.can_administer(by))
    with transaction.atomic():
        client = ApiClient.objects.select_for_update().filter(pk=client_id).first()
        if client is None:
            raise errors.NotVisible()
        made, secret = ApiKey.objects.create_key(client=client, name=name, expiry_date=expires_at)
        key = cast(ApiKey, made)
        _note("key.issued", by=by, client=client, prefix=key.prefix)
    return key, secret


def revoke_key(key_id: str, *, by: Actor) -> None:
    """End a key for good, from its next request on. Raises NotAllowed, NotVisible."""
    _require(permissions.can_administer(by))
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().filter(pk=key_id).first()
        if key is None:
            raise errors.NotVisible()
        if not key.revoked:
            key.revoked = True
            key.save(update_fields=["revoked"])
            _note("key.revoked", by=by, client=key.client, prefix=key.prefix)


def set_client_active(client_id: int, active: bool, *, by: Actor) -> ApiClient:
    """Let a client in or keep it out with all of its keys. Raises NotAllowed, NotVisible."""
    _require(permissions.can_administer(by))
    with transaction.atomic():
        client = ApiClient.objects.select_for_update().filter(pk=client_id).first()
        if client is None:
            raise errors.NotVisible()
        if client.is_active != active:
            client.is_active = active
            client.save(update_fields=["is_active"])
            _note("client.enabled" if active else "client.disabled", by=by, client=client)
    return client


OWN_ROLES = _("Nobody changes their own rights; ask another administrator.")
ADMINISTRATORS_ONLY = _("Only administrators may do this.")


def _require(allowed: bool, detail: Any = ADMINISTRATORS_ONLY) -> None:
    if not allowed:
        raise errors.NotAllowed(detail)


def _lock_pair(user_id: int, by: Actor) -> tuple[User, Actor]:
    """The account and the actor as they are now, locked in the order of their ids: two
    administrators who demote each other at the same moment come one after the other.
    """
    ids = {user_id} | ({by.user.pk} if by.user else set())
    rows = {
        row.pk: row for row in User.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    }
    if user_id not in rows:
        raise errors.NotVisible()
    if by.user is None:
        return rows[user_id], by
    present = rows[by.user.pk]
    _require(present.is_active)
    return rows[user_id], Actor(by.kind, user=present, client=by.client)


def _note(
    event: str,
    *,
    by: Actor,
    user: User | None = None,
    client: ApiClient | None = None,
    **params: Any,
) -> None:
    AccountEvent.objects.create(
        event=event, user=user, client=client, by=by.user, actor=by.label, params=params
    )
