"""Who may come in: staff, teams, shops, and what guards the door."""

from aftersales.accounts.models.clients import (
    ApiClient,
    ApiKey,
    ClientKind,
    IdempotentRequest,
    Scope,
    Shop,
)
from aftersales.accounts.models.guards import AccountEvent, AttemptLimit, RoleRequirement
from aftersales.accounts.models.people import Language, Role, Skill, Team, TeamKind, User

__all__ = [
    "AccountEvent",
    "ApiClient",
    "ApiKey",
    "AttemptLimit",
    "ClientKind",
    "IdempotentRequest",
    "Language",
    "Role",
    "RoleRequirement",
    "Scope",
    "Shop",
    "Skill",
    "Team",
    "TeamKind",
    "User",
]
