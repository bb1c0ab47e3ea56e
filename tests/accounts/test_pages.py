"""The frame of all pages: languages, errors, and what the browser's policy allows."""

import re
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.utils.http import int_to_base36

from aftersales.accounts.models import Role, User
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return make_user(Role.ADMINISTRATOR, Role.AGENT, username="chen")


@pytest.fixture
def browser(user: User) -> Client:
    browser = Client()
    browser.post("/account/login/", {"login": "chen", "password": PASSWORD})
    return browser


def every_page(user: User, browser: Client) -> Iterator[tuple[str, str]]:
    """Each page of ours with its path, in the browser's language."""
    place = f"/account/password/reset/{int_to_base36(user.pk)}"
    token = default_token_generator.make_token(user)
    stranger = Client(headers={"Accept-Language": browser.defaults["HTTP_ACCEPT_LANGUAGE"]})
    for path in (
        "/account/login/",
        "/account/password/reset/",
        "/account/password/reset/sent/",
        "/account/password/reset/done/",
        f"{place}-wrong-token/",
        f"{place}-{token}/",
        "/nowhere/",
    ):
        yield path, stranger.get(path, follow=True).content.decode()
    stranger.post("/account/login/", {"login": "nobody", "password": "x"})
    for path in (
        "/",
        "/account/logout/",
        "/account/password/",
        "/account/reauthenticate/",
        "/account/second-factor/",
        "/account/second-factor/activate/",
    ):
        response = browser.get(path)
        assert response.status_code == 200, path
        yield path, response.content.decode()
    TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(user)
    for path in (
        "/account/second-factor/",
        "/account/second-factor/confirm/",
        "/account/second-factor/deactivate/",
        "/account/second-factor/recovery-codes/",
        "/account/second-factor/recovery-codes/generate/",
    ):
        response = browser.get(path)
        assert response.status_code == 200, path
        yield path, response.content.decode()


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_it_holds_no_inline_script_or_style(user: User, browser: Client, language: str) -> None:
    browser.defaults["HTTP_ACCEPT_LANGUAGE"] = language
    browser.cookies["django_language"] = language
    for path, page in every_page(user, browser):
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page), path
        for script in re.findall(r"<script[^>]*>", page):
            assert " src=" in script, (path, script)
        assert f'<html lang="{language}">' in page, path
        assert len(re.findall(r"<h1\b", page)) == 1, path
        assert re.search(r"<title>\s*\S", page), path


def test_it_labels_every_control(user: User, browser: Client) -> None:
    browser.defaults["HTTP_ACCEPT_LANGUAGE"] = "en"
    for path, page in every_page(user, browser):
        for control in re.findall(r"<(?:input|select|textarea)\b[^>]*>", page):
            if 'type="hidden"' in control:
                continue
            found = re.search(r'\bid="([^"]+)"', control)
            assert found, (path, control)
            assert f'for="{found[1]}"' in page, (path, control)
            assert "placeholder" not in control, (path, control)


def test_it_ties_errors_to_their_control() -> None:
    page = Client().post("/account/password/reset/", {"email": "no"}).content.decode()
    assert 'aria-invalid="true"' in page
    assert 'aria-describedby="id_email_error"' in page
    assert 'id="id_email_error"' in page


def test_it_sends_the_policies_headers(browser: Client) -> None:
    response = browser.get("/")
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"


def test_it_keeps_pages_of_signed_in_people_out_of_caches(browser: Client) -> None:
    assert "no-store" in browser.get("/")["Cache-Control"]
    assert "no-store" in browser.get("/nowhere/")["Cache-Control"]


def test_it_answers_no_origin_but_its_own() -> None:
    for method in ("GET", "OPTIONS"):
        response = Client().generic(
            method,
            "/api/v1/me/",
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"},
        )
        assert not [name for name in response.headers if name.startswith("Access-Control")]


class TestLanguage:
    def test_it_switches_and_comes_back(self) -> None:
        browser = Client(headers={"Accept-Language": "zh-CN"})
        assert "登录" in browser.get("/account/login/").content.decode()
        response = browser.post("/language/", {"language": "en", "next": "/account/login/"})
        assert response["Location"] == "/account/login/"
        assert "Sign in" in browser.get("/account/login/").content.decode()

    def test_it_remembers_it_in_the_account_for_mails(self, user: User, browser: Client) -> None:
        browser.post("/language/", {"language": "en"})
        user.refresh_from_db()
        assert user.language == "en"

    @pytest.mark.parametrize("language", ["de", "", "zh-hans\r\nSet-Cookie: a=b"])
    def test_it_ignores_an_unknown_one(self, user: User, browser: Client, language: str) -> None:
        response = browser.post("/language/", {"language": language})
        assert response.status_code == 302
        assert "django_language" not in response.cookies
        user.refresh_from_db()
        assert user.language == "zh-hans"

    @pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:x"])
    def test_it_comes_back_to_our_own_paths_only(self, back: str) -> None:
        assert Client().post("/language/", {"language": "en", "next": back})["Location"] == "/"

    @pytest.mark.parametrize(
        ("accepted", "text"), [("zh-CN,zh", "登录"), ("en-GB", "Sign in"), ("fr", "登录")]
    )
    def test_it_begins_with_what_the_browser_reads(self, accepted: str, text: str) -> None:
        page = Client(headers={"Accept-Language": accepted}).get("/account/login/")
        assert text in page.content.decode()


class TestErrors:
    def test_it_designs_the_page_for_what_is_not_there(self) -> None:
        response = Client(headers={"Accept-Language": "en"}).get("/nowhere/")
        assert response.status_code == 404
        assert "There is nothing here" in response.content.decode()

    def test_it_designs_the_page_for_what_is_not_allowed(self) -> None:
        browser = Client()
        browser.force_login(make_user(Role.AGENT))
        response = browser.get("/admin/", follow=True, headers={"Accept-Language": "en"})
        assert response.status_code == 403
        assert "This is not yours to do" in response.content.decode()

    def test_it_designs_the_page_for_an_old_form(self) -> None:
        response = Client(enforce_csrf_checks=True).post("/language/")
        assert response.status_code == 403
        assert "<h1" in response.content.decode()

    def test_it_shows_a_number_and_nothing_else_when_something_breaks(
        self, browser: Client
    ) -> None:
        browser.raise_request_exception = False
        with patch("aftersales.accounts.views.render", side_effect=RuntimeError("SELECT secret")):
            response = browser.get("/")
        page = response.content.decode()
        assert response.status_code == 500
        assert response["X-Request-ID"] in page
        assert not re.search(r"SELECT|RuntimeError|Traceback|\.py\b", page)

    def test_it_refuses_a_nul_byte_before_any_view(self) -> None:
        for path in ("/account/login/?next=%00", "/no%00where/"):
            assert Client().get(path).status_code == 422
