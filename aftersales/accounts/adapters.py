"""How allauth fits in here: no sign-up, our limits, links from our address, mails in our way."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from allauth.account import app_settings as account_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.password_reset import get_reset_password_from_key_url
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from aftersales.accounts import languages, limits, mails, second_factor, workflow
from aftersales.accounts.models import User
from aftersales.common import addresses, crypto, errors


@contextmanager
def waiting_told() -> Iterator[None]:
    """Turn a TooMany into a form's error that says how long to wait."""
    try:
        yield
    except errors.TooMany as error:
        minutes = -(-error.retry_after // 60)
        text = ngettext(
            "Too many tries. Please wait %(minutes)d minute, then try again.",
            "Too many tries. Please wait %(minutes)d minutes, then try again.",
            minutes,
        )
        raise ValidationError(
            text,
            code="too_many",
            params={"minutes": minutes, "seconds": error.retry_after},
        ) from error


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Staff sign-in by user name and password."""

    # Unknown name, wrong password, disabled account: one and the same text.
    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": _("The user name or the password is not right."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_ajax(self, request: HttpRequest) -> bool:
        # allauth would answer JSON; our pages are pages, with htmx too.
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Only paths of our own: an absolute address never comes from one of our links."""
        return bool(url) and url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def get_client_ip(self, request: HttpRequest) -> str:
        return addresses.client_address(request)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Counted before the password is looked at; the same path whether the name exists."""
        with waiting_told():
            attempt = limits.SignInTry.begin(
                credentials.get("username", ""), addresses.client_address(request)
            )
        user = authenticate(
            request,
            username=credentials.get("username"),
            password=credentials.get("password"),
        )
        if not isinstance(user, User):
            return None
        attempt.succeeded()
        return user

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **kwargs)
        languages.remember(response, user.language)
        return response

    def add_message(self, request: HttpRequest, level: int, *args: Any, **kwargs: Any) -> None:
        """Coming and going need no message: the page itself says so."""
        template = args[0] if args else kwargs.get("message_template")
        if template not in {"account/messages/logged_in.txt", "account/messages/logged_out.txt"}:
            super().add_message(request, level, *args, **kwargs)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whoever signed in a moment ago need not type the password again to set up the factor."""
        records = get_authentication_records(self.request, self.request.user)
        latest = max((record["at"] for record in records), default=0.0)
        return bool(time.time() - latest >= account_settings.REAUTHENTICATION_TIMEOUT)

    def set_password(self, user: User, password: str) -> None:
        workflow.set_password(user, password)

    def get_reset_password_from_key_url(self, key: str) -> str:
        path = urlsplit(get_reset_password_from_key_url(self.request, key)).path
        return f"{settings.BASE_URL}{path}"

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        if not limits.take(limits.RESET_ACCOUNT, str(user.pk)):
            mails.send("account/email/password_reset_key", user, context)

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        if user.email:
            mails.send(template_prefix, user, context or {})


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """The second factor: secrets encrypted, and kept where a role demands one."""

    PLACE = "mfa_authenticator:data"

    def encrypt(self, text: str) -> str:
        blob = crypto.encrypt(text.encode(), context=self.PLACE, keys=settings.PERSONAL_DATA_KEYS)
        return base64.b64encode(blob).decode()

    def decrypt(self, encrypted_text: str) -> str:
        blob = base64.b64decode(encrypted_text)
        clear = crypto.decrypt(blob, context=self.PLACE, keys=settings.PERSONAL_DATA_KEYS)
        return clear.decode()

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        user: User = authenticator.user
        return not second_factor.is_required(user)

    def get_totp_label(self, user: User) -> str:
        return user.get_username()

    def get_totp_issuer(self) -> str:
        return urlsplit(settings.BASE_URL).hostname or "aftersales"
