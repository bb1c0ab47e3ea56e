"""The rows of the permission table; how a row is written, ``tests/calls.py`` says."""

from tests.calls import (
    PAGE_READERS,
    Call,
    Codes,
    by_key,
    by_staff_key,
    everybody,
    never_existed,
    page,
)
from tests.tickets.routes import TICKET_ROUTES


# allauth's form pages take PUT as they take POST; without a form it is one with faults.
def form_page(shown: Codes, faulty: Codes) -> list[Call]:
    return [Call("GET", shown), Call("POST", faulty), Call("PUT", faulty)]


# Pages of the sign-in chain that send away whoever is signed in already.
BEFORE_SIGN_IN = everybody(200) | dict.fromkeys(PAGE_READERS, 302)
BEFORE_SIGN_IN_FAULTY = everybody(422) | dict.fromkeys(PAGE_READERS, 302)

REVEAL = {"fields": ["phone"], "case_ref": "WX1", "purpose": "to call"}

ROUTES: dict[str, list[Call]] = TICKET_ROUTES | {
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
