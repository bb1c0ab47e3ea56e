"""The permission table: every route, every method, every persona, the code that must come back.

To add a route, add a list of calls under its name. A method that no call names is expected to be
refused: 405 for whoever the first call lets in, the first call's code for everybody else; a call
with the method "*" says it for all methods that are not named. To probe
an id that is somebody else's, add a call with that id in ``path``, ``query`` or ``body`` and its
own codes; with ``hidden`` the answer must also equal that for an id which never existed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from aftersales.accounts import actors
from aftersales.accounts.models import User
from aftersales.common import dbtime
from aftersales.customers.models import Contact
from aftersales.setup import profile
from tests import factories
from tests.personas import EVERYBODY, OUTSIDERS, SHOPS, STAFF, Persona, make_personas
from tickets import clocks, workflow
from tickets.models import PolicyVersion, Ticket

Codes = dict[str, int]
# "cookie" is a signed-in agent, so pages let them in; "disabled" is thrown out on the next request.
PAGE_READERS = (*STAFF, "cookie")


@dataclass
class World:
    """The personas, and rows that routes are asked about. Add fields as routes need them."""

    personas: dict[str, Persona] = field(default_factory=make_personas)
    contact: Contact = field(default_factory=factories.make_contact)
    foreign_order_number: str = "DD20261101777"

    def __post_init__(self) -> None:
        """A case of ``shop``, owned by ``agent_owner`` and overdue, and one of ``other_shop``."""
        now = dbtime.database_now()
        if not PolicyVersion.objects.exists():
            profile.load("maker", now=now - timedelta(days=30))
        factories.make_order(
            shop=self.personas["other_shop"].shop, number=self.foreign_order_number
        )
        with dbtime.at(now - timedelta(days=3)):
            self.ticket = self._case_of("shop")
            self.elsewhere = self._case_of("other_shop")
            workflow.assign_ticket(
                self.ticket.pk,
                owner_id=self.user("agent_owner").pk,
                by=actors.staff(self.user("supervisor")),
            )
        clocks.sweep()

    def _case_of(self, name: str) -> Ticket:
        client = self.personas[name].client
        if client is None:
            raise KeyError(name)
        return factories.make_ticket(by=actors.shop(client), channel="shop", urgency="urgent")

    def __getitem__(self, name: str) -> Persona:
        return self.personas[name]

    def user(self, name: str) -> User:
        found = self.personas[name].user
        if found is None:
            raise KeyError(name)
        return found


def nothing(world: World) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Call:
    """One way to ask a route: the codes by persona, and what stands in path, query and body.

    The method "*" stands for all that no other call of the route names.
    """

    method: str
    codes: Codes
    path: Callable[[World], dict[str, Any]] = nothing
    query: Callable[[World], dict[str, Any]] = nothing
    body: Callable[[World], Any] = nothing
    # Path parameters of something that never existed: the answer must be the same.
    hidden: Callable[[World], dict[str, Any]] | None = None


def everybody(code: int) -> Codes:
    """Open to all, signed in or not."""
    return dict.fromkeys(EVERYBODY, code)


def page(code: int) -> Codes:
    """A page of staff: whoever is not signed in is sent to sign in."""
    return dict.fromkeys(EVERYBODY, 302) | dict.fromkeys(PAGE_READERS, code)


def by_staff_key(code: int) -> Codes:
    """A call for staff keys: shops may not, and without a live key nobody is known."""
    return dict.fromkeys(STAFF, code) | dict.fromkeys(SHOPS, 403) | dict.fromkeys(OUTSIDERS, 401)


def by_key(code: int) -> Codes:
    """A call for any live key."""
    return dict.fromkeys(STAFF + SHOPS, code) | dict.fromkeys(OUTSIDERS, 401)


def unoffered(offered: Codes) -> Codes:
    """What a method answers that the route does not have: who is kept out at the door is kept out
    of it the same way, everybody else learns that there is no such method."""
    return {who: code if code in {302, 401} else 405 for who, code in offered.items()}


def never_existed(world: World) -> dict[str, Any]:
    return {"public_id": uuid4()}
