"""Who must have a second factor, and who has one."""

from allauth.mfa.models import Authenticator
from django.db.models import Exists

from aftersales.accounts.models import RoleRequirement, User


def is_required(user: User) -> bool:
    """One of the user's roles demands it."""
    return RoleRequirement.objects.filter(role__in=user.roles, second_factor=True).exists()


def is_set_up(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists())


def is_missing(user: User) -> bool:
    """It is demanded and not set up. One query, asked with every page of a signed-in person."""
    own = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.TOTP)
    return (
        RoleRequirement.objects.filter(role__in=user.roles, second_factor=True)
        .filter(~Exists(own))
        .exists()
    )
