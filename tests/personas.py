"""Who asks: every kind of person and program that the permission table knows.

``World`` holds one of each, and two of everything that somebody could reach for but must not.
"""

import json
from dataclasses import dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.test import Client

from aftersales.accounts.models import ApiClient, Role, Scope, Shop, User
from tests import factories

STAFF = (
    "agent_owner",
    "agent_other",
    "engineer",
    "warehouse",
    "finance",
    "department",
    "provider",
    "dealer",
    "inspector",
    "supervisor",
    "manager",
    "administrator",
)
SHOPS = ("shop", "other_shop", "shop_reader")
# "cookie" is a signed-in agent who sends the session cookie, and no key, wherever they go.
OUTSIDERS = ("nobody", "cookie", "disabled", "revoked_key", "disabled_shop")
EVERYBODY = STAFF + SHOPS + OUTSIDERS

ROLES = {
    "agent_owner": Role.AGENT,
    "agent_other": Role.AGENT,
    "engineer": Role.ENGINEER,
    "warehouse": Role.WAREHOUSE,
    "finance": Role.FINANCE,
    "department": Role.DEPARTMENT,
    "provider": Role.PROVIDER,
    "dealer": Role.DEALER,
    "inspector": Role.INSPECTOR,
    "supervisor": Role.SUPERVISOR,
    "manager": Role.MANAGER,
    "administrator": Role.ADMINISTRATOR,
    "cookie": Role.AGENT,
    "disabled": Role.AGENT,
    "revoked_key": Role.AGENT,
}


@dataclass
class Persona:
    """One asker: a session for pages, a key for the API, either, or neither."""

    name: str
    user: User | None = None
    shop: Shop | None = None
    client: ApiClient | None = None
    key: str | None = None
    session: Client | None = None

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Send one request as this persona would; JSON to the API, a form to pages."""
        browser = Client(raise_request_exception=False)
        if self.session is not None:
            browser.cookies.update(self.session.cookies)
        sent = {"Idempotency-Key": f"{self.name}-{id(browser)}"} | (headers or {})
        if self.key is not None:
            sent["Authorization"] = f"Bearer {self.key}"
        if path.startswith("/api/"):
            reads = method in {"GET", "HEAD", "OPTIONS"}
            data = "" if reads else json.dumps(body or {}, cls=DjangoJSONEncoder)
            return browser.generic(
                method, path, data, content_type="application/json", headers=sent
            )
        if method == "POST":
            return browser.post(path, body or {}, headers=sent)
        return browser.generic(method, path, headers=sent)


def make_personas() -> dict[str, Persona]:
    """One of each; their sessions and keys are live but for those whose name says otherwise."""
    found = {"nobody": Persona("nobody")}
    for name, role in ROLES.items():
        found[name] = _staff(name, role)
    factories_shop, other = factories.make_shop(), factories.make_shop()
    scopes = [Scope.TICKETS_READ, Scope.TICKETS_WRITE, Scope.ORDERS_READ, Scope.ORDERS_WRITE]
    found["shop"] = _shop("shop", factories_shop, scopes)
    found["other_shop"] = _shop("other_shop", other, scopes)
    found["shop_reader"] = _shop("shop_reader", factories_shop, [Scope.TICKETS_READ])
    found["disabled_shop"] = _shop("disabled_shop", factories.make_shop(is_active=False), scopes)
    found["cookie"].key = None
    User.objects.filter(pk=_id(found["disabled"])).update(is_active=False)
    revoked = found["revoked_key"]
    revoked.session = None
    if revoked.client is not None:
        revoked.client.keys.update(revoked=True)
    return found


def _id(persona: Persona) -> int:
    return persona.user.pk if persona.user else 0


def _staff(name: str, role: str) -> Persona:
    user = factories.make_user(role)
    client = factories.make_staff_client(user)
    session = Client()
    session.force_login(user)
    return Persona(name, user=user, client=client, key=factories.make_key(client), session=session)


def _shop(name: str, shop: Shop, scopes: list[Scope]) -> Persona:
    client = factories.make_shop_client(shop, scopes=scopes)
    return Persona(name, shop=shop, client=client, key=factories.make_key(client))
