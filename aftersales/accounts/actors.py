"""Who does something: every workflow function of every app takes ``by: Actor``."""

from dataclasses import dataclass
from enum import StrEnum

from aftersales.accounts.models import ApiClient, Shop, User


class ActorKind(StrEnum):
    STAFF = "staff"
    SHOP = "shop"
    CUSTOMER = "customer"
    PROVIDER = "provider"
    SYSTEM = "system"


@dataclass(frozen=True)
class Actor:
    """One doer. Only the fields of its kind are set; rights are asked of it, never of a request."""

    kind: ActorKind
    user: User | None = None
    shop: Shop | None = None
    contact_id: int | None = None
    client: ApiClient | None = None

    def has_role(self, *roles: str) -> bool:
        """Is a person who holds one of ``roles``; shops, customers and the system hold none."""
        return self.user is not None and self.user.has_role(*roles)

    @property
    def label(self) -> str:
        """A short text for event rows, without personal data: number, code, or the kind alone."""
        if self.user is not None:
            return f"{self.kind}:{self.user.staff_number}"
        if self.shop is not None:
            return f"{self.kind}:{self.shop.code}"
        if self.contact_id is not None:
            return f"{self.kind}:{self.contact_id}"
        return str(self.kind)


SYSTEM = Actor(ActorKind.SYSTEM)


def staff(user: User, *, client: ApiClient | None = None) -> Actor:
    """A member of staff, or of an outside provider or dealer, by page or by their key."""
    outside = user.has_role("provider", "dealer") and not set(user.roles) - {"provider", "dealer"}
    return Actor(ActorKind.PROVIDER if outside else ActorKind.STAFF, user=user, client=client)


def shop(client: ApiClient) -> Actor:
    """A shop's client. Raises ValueError for a client that has no shop."""
    if client.shop is None:
        raise ValueError("A staff client acts as its user.")
    return Actor(ActorKind.SHOP, shop=client.shop, client=client)


def customer(contact_id: int) -> Actor:
    """A customer, known by the contact that proved itself by link or code."""
    return Actor(ActorKind.CUSTOMER, contact_id=contact_id)
