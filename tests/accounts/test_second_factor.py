"""Codes from an app besides the password, and roles that must have them."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.core.mail import EmailMessage
from django.test import Client

from aftersales.accounts import workflow
from aftersales.accounts.actors import SYSTEM
from aftersales.accounts.models import Role, RoleRequirement, User
from aftersales.common import dbtime
from tests.factories import PASSWORD, make_key, make_staff_client, make_user

pytestmark = pytest.mark.django_db

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
CODE, ACTIVATE = "/account/second-factor/code/", "/account/second-factor/activate/"


def code_at(moment: float, secret: str = SECRET) -> str:
    return str(format_hotp_value(hotp_value(secret, int(moment) // 30)))


def code_now(secret: str = SECRET) -> str:
    return code_at(time.time(), secret)


@pytest.fixture
def protected() -> User:
    """A manager with an app and recovery codes."""
    user = make_user(Role.MANAGER, username="zhao")
    TOTP.activate(user, SECRET)
    RecoveryCodes.activate(user)
    return user


def password_step(browser: Client | None = None, address: str = "203.0.113.7") -> Client:
    browser = browser or Client(REMOTE_ADDR=address)
    response = browser.post("/account/login/", {"login": "zhao", "password": PASSWORD})
    assert response["Location"].startswith(CODE)
    return browser


def enter(browser: Client, code: str) -> Any:
    return browser.post(CODE, {"code": code})


def test_it_lets_nobody_in_by_password_alone(protected: User) -> None:
    browser = password_step()
    assert browser.get("/").status_code == 302
    assert enter(browser, "000000").status_code == 422
    assert browser.get("/").status_code == 302


def test_it_lets_in_with_the_apps_code(protected: User) -> None:
    browser = password_step()
    assert enter(browser, code_now()).status_code == 302
    assert browser.get("/").status_code == 200


def test_it_takes_a_code_with_the_space_that_apps_show(protected: User) -> None:
    code = code_now()
    assert enter(password_step(), f"{code[:3]} {code[3:]}").status_code == 302


@pytest.mark.parametrize(("steps", "code"), [(-2, 422), (-1, 302), (0, 302), (1, 302), (2, 422)])
def test_it_allows_clocks_to_differ_by_one_step(protected: User, steps: int, code: int) -> None:
    with time_machine.travel(datetime(2026, 3, 2, 12, 0, 10, tzinfo=UTC), tick=False):
        browser = password_step()
        assert enter(browser, code_at(time.time() + 30 * steps)).status_code == code


def test_it_takes_a_code_once(protected: User) -> None:
    with time_machine.travel(datetime(2026, 3, 2, 12, 0, 10, tzinfo=UTC), tick=False):
        assert enter(password_step(), code_now()).status_code == 302
        assert enter(password_step(), code_now()).status_code == 422


def test_it_takes_a_recovery_code_once(protected: User) -> None:
    code = RecoveryCodes(
        Authenticator.objects.get(user=protected, type="recovery_codes")
    ).get_unused_codes()[0]
    assert enter(password_step(), code).status_code == 302
    assert enter(password_step(), code).status_code == 422


def test_it_waits_after_ten_wrong_codes_from_wherever(protected: User) -> None:
    moment = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    with dbtime.at(moment):
        for number in range(10):
            browser = password_step(address=f"192.0.2.{number + 1}")
            assert enter(browser, "000000").status_code == 422
        refused = enter(password_step(address="192.0.2.99"), code_now())
    assert (refused.status_code, refused["Retry-After"]) == (429, "900")
    with dbtime.at(moment + timedelta(minutes=15)):
        assert enter(password_step(address="192.0.2.99"), code_now()).status_code == 302


def test_it_stores_the_secret_encrypted(protected: User) -> None:
    row = Authenticator.objects.get(user=protected, type="totp")
    assert SECRET not in str(row.data)


def sign_in(user: User) -> Client:
    browser = Client()
    browser.post("/account/login/", {"login": user.username, "password": PASSWORD})
    return browser


def test_it_is_set_up_and_from_then_on_asked_for(
    sent_mails: Callable[[], list[EmailMessage]], django_capture_on_commit_callbacks: Any
) -> None:
    user = make_user(username="zhao", language="en")
    browser = sign_in(user)
    page = browser.get(ACTIVATE)
    assert page.status_code == 200
    code = code_now(page.context["form"].secret)
    with django_capture_on_commit_callbacks(execute=True):
        answer = browser.post(ACTIVATE, {"code": code})
    assert answer["Location"].endswith("/recovery-codes/")
    codes = browser.get("/account/second-factor/recovery-codes/")
    assert len(codes.context["unused_codes"]) == 10
    browser.post("/account/logout/")
    password_step(browser)
    assert [message.subject for message in sent_mails()] == ["Your second factor is on"]


def test_it_asks_for_the_password_again_when_the_sign_in_is_old() -> None:
    user = make_user()
    browser = sign_in(user)
    assert browser.get(ACTIVATE).status_code == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=6), tick=False):
        response = browser.get(ACTIVATE)
    assert response["Location"].startswith("/account/reauthenticate/")


class TestRequired:
    @pytest.fixture
    def manager(self) -> User:
        workflow.require_second_factor(Role.MANAGER, True, by=SYSTEM)
        return make_user(Role.AGENT, Role.MANAGER)

    @pytest.mark.parametrize(
        "path", ["/", "/account/password/", "/admin/", "/account/second-factor/"]
    )
    def test_it_leads_to_the_set_up_from_every_page(self, manager: User, path: str) -> None:
        response = sign_in(manager).get(path)
        assert (response.status_code, response["Location"]) == (302, ACTIVATE)

    def test_it_says_why_and_lets_out(self, manager: User) -> None:
        browser = sign_in(manager)
        page = browser.get(ACTIVATE, headers={"Accept-Language": "en"})
        assert page.context["second_factor_required"]
        assert browser.post("/account/logout/")["Location"] == "/account/login/"

    def test_it_takes_htmx_there_as_well(self, manager: User) -> None:
        response = sign_in(manager).get("/", headers={"HX-Request": "true"})
        assert (response.status_code, response["HX-Redirect"]) == (204, ACTIVATE)

    def test_it_lets_through_once_set_up(self, manager: User) -> None:
        browser = sign_in(manager)
        secret = browser.get(ACTIVATE).context["form"].secret
        browser.post(ACTIVATE, {"code": code_now(secret)})
        assert browser.get("/").status_code == 200

    def test_it_asks_nothing_of_other_roles(self, manager: User) -> None:
        assert sign_in(make_user(Role.AGENT)).get("/").status_code == 200

    def test_it_holds_from_the_next_request_after_the_rule_or_the_role_came(self) -> None:
        user = make_user(Role.AGENT)
        browser = sign_in(user)
        workflow.require_second_factor(Role.FINANCE, True, by=SYSTEM)
        assert browser.get("/").status_code == 200
        workflow.set_roles(user.pk, [Role.FINANCE], by=SYSTEM)
        assert browser.get("/").status_code == 302

    def test_it_cannot_be_switched_off(self, manager: User) -> None:
        TOTP.activate(manager, SECRET)
        browser = Client()
        browser.post("/account/login/", {"login": manager.username, "password": PASSWORD})
        enter(browser, code_now())
        response = browser.post("/account/second-factor/deactivate/")
        assert response.status_code == 422
        assert Authenticator.objects.filter(user=manager, type="totp").exists()

    def test_it_can_be_switched_off_where_nobody_demands_it(self) -> None:
        user = make_user(Role.AGENT, username="zhao")
        TOTP.activate(user, SECRET)
        browser = password_step()
        enter(browser, code_now())
        assert browser.post("/account/second-factor/deactivate/").status_code == 302
        assert not Authenticator.objects.filter(user=user).exists()

    def test_it_does_not_hold_up_staff_keys(self, manager: User) -> None:
        key = make_key(make_staff_client(manager))
        headers = {"Authorization": f"Bearer {key}"}
        assert Client().get("/api/v1/me/", headers=headers).status_code == 200


def test_it_is_removed_for_a_lost_phone_and_demanded_anew() -> None:
    RoleRequirement.objects.create(role=Role.MANAGER, second_factor=True)
    user = make_user(Role.MANAGER)
    TOTP.activate(user, SECRET)
    RecoveryCodes.activate(user)
    workflow.reset_second_factor(user.pk, by=SYSTEM)
    assert not Authenticator.objects.filter(user=user).exists()
    assert sign_in(user).get("/")["Location"] == ACTIVATE
