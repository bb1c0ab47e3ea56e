"""Signing in and out by page: one door, one error, temporary limits, sessions that really end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
import redis
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.sessions.models import Session
from django.test import Client, override_settings

from aftersales.accounts import workflow
from aftersales.accounts.actors import SYSTEM
from aftersales.accounts.models import AttemptLimit, User
from aftersales.common import dbtime
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db

LOGIN = "/account/login/"
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOME, AWAY = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def user() -> User:
    return make_user(username="Wang.Lei")


def sign_in(
    username: str, password: str, *, address: str = HOME, browser: Client | None = None, **data: str
) -> Any:
    browser = browser or Client()
    return browser.post(
        LOGIN, {"login": username, "password": password} | data, REMOTE_ADDR=address
    )


def fail(times: int, username: str = "Wang.Lei", address: str = HOME) -> Any:
    responses = [sign_in(username, "wrong", address=address) for _ in range(times)]
    return responses[-1]


def test_it_signs_in_with_name_and_password(user: User) -> None:
    browser = Client()
    response = sign_in("Wang.Lei", PASSWORD, browser=browser)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert browser.get("/").status_code == 200


def test_it_ignores_case_in_the_name(user: User) -> None:
    assert sign_in("wang.lei", PASSWORD).status_code == 302


def test_it_signs_nobody_in_by_mail_address(user: User) -> None:
    assert sign_in(user.email, PASSWORD).status_code == 422


@pytest.mark.parametrize("path", ["/account/signup/", "/account/email/", "/accounts/signup/"])
def test_it_has_no_sign_up(path: str) -> None:
    assert Client().get(path).status_code == 404


def test_it_says_the_same_of_an_unknown_name_a_wrong_password_and_a_disabled_account(
    user: User,
) -> None:
    make_user(username="gone", is_active=False)
    pages = [
        sign_in("nobody", PASSWORD, address=AWAY),
        sign_in("Wang.Lei", "wrong", address=AWAY),
        sign_in("gone", PASSWORD, address=AWAY),
    ]
    assert {page.status_code for page in pages} == {422}
    texts = [
        page.content.decode().split('role="alert"')[1].split("</form>")[0].replace(name, "")
        for page, name in zip(pages, ["nobody", "Wang.Lei", "gone"], strict=True)
    ]
    assert len({text.split("</div>")[0] for text in texts}) == 1


@override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.Argon2PasswordHasher"])
def test_it_hashes_once_whether_the_name_exists_or_not() -> None:
    known = make_user(username="known")
    known.set_password(PASSWORD)
    known.save(update_fields=["password"])
    disabled = make_user(username="disabled", is_active=False)
    User.objects.filter(pk=disabled.pk).update(password=known.password)
    counts = []
    for username in ("known", "disabled", "unknown"):
        with (
            patch.object(Argon2PasswordHasher, "encode", autospec=True) as encode,
            patch.object(
                Argon2PasswordHasher, "verify", autospec=True, return_value=False
            ) as verify,
        ):
            encode.return_value = "x"
            sign_in(username, "wrong", address=AWAY)
        counts.append(encode.call_count + verify.call_count)
    assert counts == [1, 1, 1]


def test_it_refuses_the_sixth_try_of_an_address_even_with_the_right_password(user: User) -> None:
    with dbtime.at(NOON):
        assert fail(5).status_code == 422
        refused = sign_in("Wang.Lei", PASSWORD)
    assert refused.status_code == 429
    assert refused["Retry-After"] == "900"
    assert "15" in refused.content.decode()


def test_it_takes_the_right_password_at_the_fifth_try(user: User) -> None:
    fail(4)
    assert sign_in("Wang.Lei", PASSWORD).status_code == 302


def test_it_lets_the_owner_in_from_another_address_meanwhile(user: User) -> None:
    fail(9)
    assert sign_in("Wang.Lei", PASSWORD, address=AWAY).status_code == 302


@pytest.mark.parametrize(
    ("after", "code"),
    [
        (timedelta(minutes=15) - timedelta(seconds=1), 429),
        (timedelta(minutes=15), 302),
        (timedelta(minutes=15, seconds=1), 302),
    ],
)
def test_it_opens_again_when_the_window_ends(user: User, after: timedelta, code: int) -> None:
    with dbtime.at(NOON):
        fail(6)
    with dbtime.at(NOON + after):
        assert sign_in("Wang.Lei", PASSWORD).status_code == code


def test_it_forgets_wrong_tries_after_a_right_one(user: User) -> None:
    fail(4)
    sign_in("Wang.Lei", PASSWORD)
    assert fail(4).status_code == 422
    assert sign_in("Wang.Lei", PASSWORD).status_code == 302


def test_it_limits_one_address_over_many_names(user: User) -> None:
    for number in range(30):
        assert fail(1, username=f"name{number}").status_code == 422
    assert fail(1, username="another").status_code == 429
    assert sign_in("Wang.Lei", PASSWORD, address=AWAY).status_code == 302


def test_it_does_not_clear_an_address_by_one_right_sign_in(user: User) -> None:
    for number in range(29):
        fail(1, username=f"name{number}")
    assert sign_in("Wang.Lei", PASSWORD).status_code == 302
    assert fail(1, username="one more").status_code == 422
    assert fail(1, username="one too many").status_code == 429


def test_it_leaves_two_tries_an_address_when_an_account_is_hammered(user: User) -> None:
    for number in range(31):
        fail(1, address=f"192.0.2.{number + 1}")
    assert sign_in("Wang.Lei", PASSWORD, address=AWAY).status_code == 302
    fail(2, address="198.51.100.10")
    assert sign_in("Wang.Lei", PASSWORD, address="198.51.100.10").status_code == 429


def test_it_counts_an_ipv6_network_as_one(user: User) -> None:
    for number in range(5):
        fail(1, address=f"2001:db8:1:2::{number + 1}")
    assert sign_in("Wang.Lei", PASSWORD, address="2001:db8:1:2:ffff::1").status_code == 429
    assert sign_in("Wang.Lei", PASSWORD, address="2001:db8:1:3::1").status_code == 302


def test_it_is_not_fooled_by_a_forged_forwarding_header(user: User) -> None:
    codes = [
        Client()
        .post(
            LOGIN,
            {"login": "Wang.Lei", "password": "wrong"},
            REMOTE_ADDR=HOME,
            headers={"X-Forwarded-For": f"192.0.2.{number}, <b>x</b>"},
        )
        .status_code
        for number in range(50)
    ]
    assert codes == [422] * 5 + [429] * 45


@pytest.fixture
def dead_cache() -> Iterator[None]:
    with patch("redis.connection.AbstractConnection.connect", side_effect=redis.ConnectionError):
        yield


def test_it_signs_in_and_limits_without_redis(user: User, dead_cache: None) -> None:
    assert sign_in("Wang.Lei", PASSWORD).status_code == 302
    assert fail(6, address=AWAY).status_code == 429


def test_it_stores_no_name_that_was_typed(user: User) -> None:
    fail(1, username="My-Secret-Passw0rd")
    for row in AttemptLimit.objects.all():
        assert b"secret" not in bytes(row.key).lower()
        assert len(bytes(row.key)) == 32


def test_it_renews_the_session_key_at_sign_in(user: User) -> None:
    browser = Client()
    browser.get(LOGIN)
    session = browser.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    browser.cookies["session" if "session" in browser.cookies else "sessionid"] = str(planted)
    sign_in("Wang.Lei", PASSWORD, browser=browser)
    assert browser.session.session_key != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_it_ends_the_session_on_the_server_at_sign_out(user: User) -> None:
    browser = Client()
    sign_in("Wang.Lei", PASSWORD, browser=browser)
    thief = Client()
    thief.cookies["sessionid"] = browser.cookies["sessionid"].value
    assert thief.get("/").status_code == 200
    assert browser.post("/account/logout/")["Location"] == LOGIN
    assert thief.get("/").status_code == 302


def test_it_does_not_sign_out_by_a_link(user: User) -> None:
    browser = Client()
    browser.force_login(user)
    browser.get("/account/logout/")
    assert browser.get("/").status_code == 200


def test_it_throws_a_disabled_user_out_with_the_next_request(user: User) -> None:
    browser = Client()
    browser.force_login(user)
    assert browser.get("/").status_code == 200
    workflow.set_active(user.pk, False, by=SYSTEM)
    assert browser.get("/").status_code == 302


def test_it_sets_cookies_that_no_script_reads(user: User) -> None:
    browser = Client()
    browser.get(LOGIN)
    sign_in("Wang.Lei", PASSWORD, browser=browser)
    for name in ("sessionid", "csrftoken", "django_language"):
        cookie = browser.cookies[name]
        assert cookie["httponly"], name
        assert cookie["samesite"] == "Lax", name


@override_settings(SESSION_COOKIE_SECURE=True, CSRF_COOKIE_SECURE=True, LANGUAGE_COOKIE_SECURE=True)
def test_it_sets_cookies_for_https_only_in_production(user: User) -> None:
    browser = Client()
    browser.get(LOGIN)
    sign_in("Wang.Lei", PASSWORD, browser=browser)
    assert all(
        browser.cookies[name]["secure"] for name in ("sessionid", "csrftoken", "django_language")
    )


@pytest.mark.parametrize(
    "path", [LOGIN, "/account/logout/", "/language/", "/account/password/reset/"]
)
def test_it_takes_no_form_without_its_token(user: User, path: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert browser.post(path, {"login": "x"}).status_code == 403


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/account/second-factor/", "/account/second-factor/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("http://localhost:8000/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\\evil.example", "/"),
    ],
)
def test_it_goes_on_to_our_own_paths_only(user: User, target: str, expected: str) -> None:
    assert sign_in("Wang.Lei", PASSWORD, next=target)["Location"] == expected


def test_it_shows_pages_in_the_accounts_language_from_then_on() -> None:
    make_user(username="amy", language="en")
    browser = Client(headers={"Accept-Language": "zh"})
    sign_in("amy", PASSWORD, browser=browser)
    assert 'lang="en"' in browser.get("/").content.decode()


def test_it_refuses_a_foreign_host_name() -> None:
    assert Client().get(LOGIN, headers={"Host": "evil.example"}).status_code == 400
