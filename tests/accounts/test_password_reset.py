"""The way back in: a link by mail, from our own address, once, for an hour."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
import time_machine
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import EmailMessage
from django.test import Client, override_settings
from django.utils.http import int_to_base36

from aftersales.accounts.models import AccountEvent, User
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db

RESET = "/account/password/reset/"
NEW = "Another-Horse-43"
Mails = Callable[[], list[EmailMessage]]


@pytest.fixture
def user() -> User:
    return make_user(username="wang", email="wang@example.com", language="en")


def ask(email: str = "wang@example.com", address: str = "203.0.113.7", **headers: str) -> int:
    return Client().post(RESET, {"email": email}, REMOTE_ADDR=address, headers=headers).status_code


def link_in(message: EmailMessage) -> str:
    found = re.search(r"http://localhost:8000(/account/password/reset/\S+)", str(message.body))
    assert found is not None, message.body
    return found[1]


def open_form(browser: Client, link: str) -> str:
    """Follow the link to the form, whose address holds no token."""
    response = browser.get(link)
    assert response.status_code == 302
    assert response["Location"].endswith("-set-password/")
    return str(response["Location"])


def set_password(browser: Client, link: str, password: str = NEW) -> int:
    form = open_form(browser, link)
    return browser.post(form, {"password1": password, "password2": password}).status_code


def test_it_sends_a_link_in_the_accounts_language(user: User, sent_mails: Mails) -> None:
    assert ask() == 302
    (message,) = sent_mails()
    assert message.to == ["wang@example.com"]
    assert message.subject == "Set a new password for the after-sales portal"
    assert "Your user name is wang." in str(message.body)
    assert link_in(message)


def test_it_sets_the_password_by_the_link(user: User, sent_mails: Mails) -> None:
    ask()
    assert set_password(Client(), link_in(sent_mails()[0])) == 302
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert AccountEvent.objects.get(user=user).event == "account.password_set"


def test_it_opens_once_only(user: User, sent_mails: Mails) -> None:
    ask()
    link = link_in(sent_mails()[0])
    set_password(Client(), link)
    assert Client().get(link).status_code == 404


def test_it_works_in_the_browser_that_kept_the_form_open_once_only(
    user: User, sent_mails: Mails
) -> None:
    ask()
    browser = Client()
    form = open_form(browser, link_in(sent_mails()[0]))
    data = {"password1": NEW, "password2": NEW}
    assert browser.post(form, data).status_code == 302
    assert (
        browser.post(
            form, {"password1": "Third-Horse-44", "password2": "Third-Horse-44"}
        ).status_code
        == 404
    )
    user.refresh_from_db()
    assert user.check_password(NEW)


@pytest.mark.parametrize(
    ("later", "code"), [(timedelta(minutes=59), 302), (timedelta(minutes=60, seconds=2), 404)]
)
def test_it_ends_after_an_hour(user: User, sent_mails: Mails, later: timedelta, code: int) -> None:
    ask()
    link = link_in(sent_mails()[0])
    with time_machine.travel(datetime.now().astimezone() + later, tick=False):
        assert Client().get(link).status_code == code


def test_it_ends_all_sessions_of_the_account(user: User, sent_mails: Mails) -> None:
    first, second = Client(), Client()
    for browser in (first, second):
        browser.force_login(user)
    ask()
    set_password(first, link_in(sent_mails()[0]))
    assert first.get("/").status_code == 302
    assert second.get("/").status_code == 302


def test_it_does_not_sign_in_by_itself(user: User, sent_mails: Mails) -> None:
    ask()
    browser = Client()
    set_password(browser, link_in(sent_mails()[0]))
    assert browser.get("/").status_code == 302


def test_it_says_the_same_when_nobody_has_the_address(user: User, sent_mails: Mails) -> None:
    known = Client().post(RESET, {"email": "wang@example.com"}, follow=True)
    unknown = Client().post(RESET, {"email": "nobody@example.com"}, follow=True)
    assert known.redirect_chain == unknown.redirect_chain
    assert without_tokens(known.content) == without_tokens(unknown.content)
    assert [message.to for message in sent_mails()] == [["wang@example.com"]]


def without_tokens(content: bytes) -> bytes:
    return re.sub(rb'value="[A-Za-z0-9]{64}"', b"", content)


def test_it_sends_nothing_to_a_disabled_account(sent_mails: Mails) -> None:
    make_user(email="gone@example.com", is_active=False)
    assert ask("gone@example.com") == 302
    assert sent_mails() == []


def test_it_answers_the_same_while_the_mail_server_is_down(user: User, sent_mails: Mails) -> None:
    with patch("django.core.mail.EmailMessage.send", side_effect=ConnectionRefusedError):
        assert ask() == 302
        assert sent_mails() == []


def test_it_writes_at_most_three_mails_an_hour(user: User, sent_mails: Mails) -> None:
    for number in range(6):
        assert ask(address=f"192.0.2.{number + 1}") == 302
    assert len(sent_mails()) == 3


def test_it_limits_an_address_and_says_how_long(user: User) -> None:
    for number in range(20):
        assert ask(f"name{number}@example.com") == 302
    response = Client().post(RESET, {"email": "x@example.com"}, REMOTE_ADDR="203.0.113.7")
    assert response.status_code == 429
    assert 3500 < int(response["Retry-After"]) <= 3600
    assert ask("x@example.com", address="203.0.113.8") == 302


def test_it_takes_the_link_from_the_setting_and_refuses_a_foreign_host(
    user: User, sent_mails: Mails
) -> None:
    assert ask(Host="evil.example") == 400
    assert sent_mails() == []
    with override_settings(ALLOWED_HOSTS=["*"]):
        assert ask(Host="evil.example") == 302
    assert "evil" not in str(sent_mails()[0].body)


@pytest.mark.parametrize("key", ["abc-def", "set-password"])
def test_it_refuses_a_forged_link(user: User, key: str) -> None:
    assert Client().get(f"{RESET}{int_to_base36(user.pk)}-{key}/").status_code == 404


def test_it_refuses_anothers_token(user: User) -> None:
    own, others = map(default_token_generator.make_token, (user, make_user()))
    place = f"{RESET}{int_to_base36(user.pk)}"
    assert Client().get(f"{place}-{others}/").status_code == 404
    assert Client().get(f"{place}-{own}/").status_code == 302


def test_it_refuses_a_weak_password(user: User, sent_mails: Mails) -> None:
    ask()
    assert set_password(Client(), link_in(sent_mails()[0]), "short") == 422
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


class TestChange:
    """Changing the password while signed in."""

    @pytest.fixture
    def browser(self, user: User) -> Client:
        browser = Client()
        browser.force_login(user)
        return browser

    def change(self, browser: Client, old: str) -> int:
        data = {"oldpassword": old, "password1": NEW, "password2": NEW}
        return browser.post("/account/password/", data).status_code

    def test_it_keeps_this_session_and_ends_the_others(self, user: User, browser: Client) -> None:
        other = Client()
        other.force_login(user)
        assert self.change(browser, PASSWORD) == 302
        assert browser.get("/").status_code == 200
        assert other.get("/").status_code == 302

    def test_it_tells_the_account_by_mail(
        self, user: User, browser: Client, sent_mails: Mails
    ) -> None:
        self.change(browser, PASSWORD)
        (message,) = sent_mails()
        assert message.subject == "Your password was changed"

    def test_it_limits_tries_at_the_old_password(self, user: User, browser: Client) -> None:
        assert [self.change(browser, "wrong") for _ in range(6)] == [422] * 5 + [429]
        assert self.change(browser, PASSWORD) == 429
