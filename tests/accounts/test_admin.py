"""Administration: behind the one sign-in, through workflow, a key's secret on one page only."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from aftersales.accounts.models import AccountEvent, ApiKey, Role, RoleRequirement, Team, User
from tests.factories import PASSWORD, intake_team, make_key, make_shop_client, make_team, make_user

pytestmark = pytest.mark.django_db

USERS, KEYS = "/admin/accounts/user/", "/admin/accounts/apikey/"


@pytest.fixture
def administrator() -> User:
    return make_user(Role.ADMINISTRATOR)


@pytest.fixture
def browser(administrator: User) -> Client:
    browser = Client(headers={"Accept-Language": "en"})
    browser.force_login(administrator)
    return browser


def form_of(user: User, **changes: Any) -> dict[str, Any]:
    values = {
        "username": user.username,
        "staff_number": user.staff_number,
        "display_name": user.display_name,
        "email": user.email,
        "team": user.team_id or "",
        "language": user.language,
        "is_present": "on",
        "is_active": "on",
        "roles": user.roles,
    }
    return {name: value for name, value in (values | changes).items() if value is not None}


def test_it_signs_in_through_the_one_door() -> None:
    response = Client().get("/admin/", follow=True)
    assert response.redirect_chain[-1][0].startswith("/account/login/?next=")


def test_it_takes_no_password_at_its_own_door(administrator: User) -> None:
    data = {"username": administrator.username, "password": PASSWORD}
    response = Client().post("/admin/login/", data)
    assert response.status_code == 302
    assert "sessionid" not in response.cookies


def test_it_refuses_staff_who_are_no_administrators() -> None:
    browser = Client()
    browser.force_login(make_user(Role.MANAGER))
    assert browser.get("/admin/", follow=True).status_code == 403


def test_it_creates_an_account_through_workflow(browser: Client) -> None:
    new = User(username="li", staff_number="S900", display_name="李", roles=["agent"])
    team = make_team()
    response = browser.post(f"{USERS}add/", form_of(new, team=team.pk))
    assert response.status_code == 302, response.context["errors"]
    user = User.objects.get(username="li")
    assert (user.roles, user.team) == (["agent"], team)
    assert not user.has_usable_password()
    assert AccountEvent.objects.get(user=user).event == "account.created"


def test_it_changes_roles_and_plain_fields_through_workflow(browser: Client) -> None:
    user = make_user(Role.AGENT)
    change = form_of(user, roles=["agent", "supervisor"], display_name="新名", is_active=None)
    assert browser.post(f"{USERS}{user.pk}/change/", change).status_code == 302
    user.refresh_from_db()
    assert (user.roles, user.display_name) == (["agent", "supervisor"], "新名")
    assert not user.is_active
    events = AccountEvent.objects.filter(user=user).order_by("pk")
    assert [event.event for event in events] == ["account.roles_set", "account.disabled"]


def test_it_changes_nobodys_own_roles(browser: Client, administrator: User) -> None:
    change = form_of(administrator, roles=["agent"], is_active=None, display_name="Neu")
    assert browser.post(f"{USERS}{administrator.pk}/change/", change).status_code == 302
    administrator.refresh_from_db()
    assert (administrator.roles, administrator.is_active) == ([Role.ADMINISTRATOR], True)
    assert administrator.display_name == "Neu"


def test_it_shows_a_new_key_once(browser: Client) -> None:
    client = make_shop_client()
    data = {"client": client.pk, "name": "till", "expiry_date_0": "", "expiry_date_1": ""}
    page = browser.post(f"{KEYS}add/", data)
    key = ApiKey.objects.get()
    secret = page.content.decode().split("<code>")[1].split("</code>")[0]
    assert key.is_valid(secret)
    assert "no-store" in page["Cache-Control"]
    assert all(secret not in str(cookie) for cookie in browser.cookies.values())
    for path in (KEYS, f"{KEYS}{key.pk}/change/"):
        assert secret.partition(".")[2] not in browser.get(path, follow=True).content.decode()
    assert AccountEvent.objects.get(client=client).event == "key.issued"


def test_it_gives_a_key_its_end(browser: Client) -> None:
    data = {
        "client": make_shop_client().pk,
        "name": "till",
        "expiry_date_0": "2030-01-01",
        "expiry_date_1": "08:00",
    }
    browser.post(f"{KEYS}add/", data)
    assert ApiKey.objects.get().expiry_date == datetime(2030, 1, 1, 0, 0, tzinfo=UTC)


def test_it_revokes_keys(browser: Client) -> None:
    make_key(make_shop_client())
    data = {"action": "revoke", "_selected_action": [ApiKey.objects.get().pk]}
    browser.post(KEYS, data)
    assert ApiKey.objects.get().revoked


def test_it_moves_the_intake(browser: Client) -> None:
    intake_team()
    team = make_team()
    browser.post(
        "/admin/accounts/team/", {"action": "choose_intake_team", "_selected_action": [team.pk]}
    )
    assert Team.objects.get(is_intake=True) == team


def test_it_requires_a_second_factor_of_a_role(browser: Client) -> None:
    browser.post("/admin/accounts/rolerequirement/add/", {"role": "finance", "second_factor": "on"})
    assert RoleRequirement.objects.get().role == "finance"


@pytest.mark.parametrize("model", ["user", "shop", "apiclient", "apikey", "team", "accountevent"])
def test_it_deletes_nothing_that_was_once_used(browser: Client, model: str) -> None:
    registered = {str(m._meta.model_name): a for m, a in admin.site._registry.items()}
    request: Any = type("Request", (), {"user": make_user(Role.ADMINISTRATOR)})()
    assert not registered[model].has_delete_permission(request)


@pytest.mark.parametrize("model", ["authenticator", "emailaddress", "group"])
def test_it_leaves_out_pages_that_go_around_us(model: str) -> None:
    assert model not in {m._meta.model_name for m in admin.site._registry}
