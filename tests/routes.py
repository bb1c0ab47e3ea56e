"""The permission table: every route, every method, every persona, the code that must come back.

To add a route, add a list of calls under its name. A method that no call names is expected to be
refused: 405 for whoever the first call lets in, the first call's code for everybody else; a call
with the method "*" says it for all methods that are not named. To probe
an id that is somebody else's, add a call with that id in ``path``, ``query`` or ``body`` and its
own codes; with ``hidden`` the answer must also equal that for an id which never existed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aftersales.accounts.models import User
from aftersales.customers.models import Contact
from tests import factories
from tests.personas import EVERYBODY, OUTSIDERS, SHOPS, STAFF, Persona, make_personas

Codes = dict[str, int]
# "cookie" is a signed-in agent, so pages let them in; "disabled" is thrown out on the next request.
PAGE_READERS = (*STAFF, "cookie")


@dataclass
class World:
    """The personas, and rows that routes are asked about. Add fields as routes need them."""

    personas: dict[str, Persona] = field(default_factory=make_personas)
    contact: Contact = field(default_factory=factories.make_contact)

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
    """What a method answers that the route does not have: whoever is kept out at the door is kept
    out of it the same way (a 403 of staff comes from further in), everybody else learns that there
    is no such method.
    """
    kept_out = {302, 401}
    return {
        who: code if code in kept_out or (code == 403 and who in SHOPS) else 405
        for who, code in offered.items()
    }


def never_existed(world: World) -> dict[str, Any]:
    return {"public_id": uuid4()}


# allauth's form pages take PUT as they take POST; without a form it is one with faults.
def form_page(shown: Codes, faulty: Codes) -> list[Call]:
    return [Call("GET", shown), Call("POST", faulty), Call("PUT", faulty)]


# Pages of the sign-in chain that send away whoever is signed in already.
BEFORE_SIGN_IN = everybody(200) | dict.fromkeys(PAGE_READERS, 302)
BEFORE_SIGN_IN_FAULTY = everybody(422) | dict.fromkeys(PAGE_READERS, 302)

REVEAL = {"fields": ["phone"], "case_ref": "WX1", "purpose": "to call"}

ROUTES: dict[str, list[Call]] = {
    # --- accounts: pages
    "accounts:home": [Call("GET", page(200))],
    "accounts:language": [
        Call("POST", everybody(302), body=lambda world: {"language": "en"}),
        Call("*", everybody(405)),
    ],
    "account_login": form_page(BEFORE_SIGN_IN, BEFORE_SIGN_IN_FAULTY),
    "account_logout": [
        Call("GET", page(200)),
        Call("POST", everybody(302)),
        Call("*", everybody(405)),
    ],
    "account_reauthenticate": form_page(page(200), page(422)),
    "account_change_password": form_page(page(200), page(422)),
    "account_reset_password": form_page(everybody(200), everybody(422)),
    "account_reset_password_done": [Call("GET", everybody(200))],
    "account_reset_password_from_key": [
        Call("*", everybody(404), path=lambda world: {"uidb36": "1", "key": "abc-def"})
    ],
    "account_reset_password_from_key_done": [Call("GET", everybody(200))],
    "mfa_index": [Call("GET", page(200))],
    # Without a second factor there is nothing to confirm with: on to the password.
    "mfa_reauthenticate": [Call("GET", page(302))],
    # These ask for the password again first.
    "mfa_activate_totp": [Call("GET", page(302))],
    "mfa_deactivate_totp": [Call("*", page(404))],
    "mfa_view_recovery_codes": [Call("GET", page(404))],
    "mfa_download_recovery_codes": [Call("*", page(404))],
    "mfa_generate_recovery_codes": [Call("GET", page(302))],
    "admin_password_change": [Call("*", everybody(302))],
    # --- accounts: API
    "api:schema": [Call("GET", everybody(200))],
    "api:docs": [Call("GET", everybody(200))],
    "accounts-api:me": [Call("GET", by_key(200))],
    "accounts-api:staff": [Call("GET", by_staff_key(200))],
    "accounts-api:teams": [Call("GET", by_staff_key(200))],
    # --- customers: without a grant nobody sees a clear value, administrators least of all
    "customers:reveal": [
        Call(
            "POST",
            # Outside people do not even learn that the contact exists.
            by_staff_key(403) | {"provider": 404, "dealer": 404},
            path=lambda world: {"public_id": world.contact.public_id},
            body=lambda world: REVEAL,
        ),
        Call("POST", by_staff_key(404), path=never_existed, body=lambda world: REVEAL),
    ],
    "customers:break-glass": [
        Call(
            "POST",
            by_staff_key(403) | {"manager": 201},
            path=lambda world: {"public_id": world.contact.public_id},
            body=lambda world: {
                "fields": ["phone"],
                "case_ref": "WX1",
                "reason": "The customer is in danger.",
            },
        ),
    ],
    # --- health
    "health:live": [Call("GET", everybody(200))],
    "health:ready": [Call("GET", everybody(503))],
    # The test client comes from a private address.
    "health:metrics": [Call("GET", everybody(200))],
    # Only between password and code; everybody else is sent to the sign-in page.
    "mfa_authenticate": [Call("*", everybody(302))],
}
