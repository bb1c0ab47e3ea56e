"""Forms of the sign-in chain where allauth's own would count in the cache, or not at all."""

from typing import Any

from allauth.account.forms import ChangePasswordForm as AllauthChangePasswordForm
from allauth.account.forms import ResetPasswordForm as AllauthResetPasswordForm
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import validate_totp_code
from allauth.mfa.utils import decrypt
from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from aftersales.accounts import limits
from aftersales.accounts.adapters import waiting_told
from aftersales.accounts.models import User
from aftersales.common import addresses, errors


class CodeMixin(forms.Form):
    """A code of the app, or one of the recovery codes. Tries and used codes are rows."""

    user: User
    authenticator: Authenticator

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"].replace(" ", "")
        with waiting_told():
            if seconds := limits.take(limits.SECOND_FACTOR, str(self.user.pk)):
                raise errors.TooMany(retry_after=seconds)
        for own in Authenticator.objects.filter(user=self.user).order_by("pk"):
            if self._opens(own, code):
                limits.give_back(limits.SECOND_FACTOR, str(self.user.pk))
                own.user = self.user
                self.authenticator = own
                return code
        raise ValidationError(_("This code is not right (any more)."), code="incorrect_code")

    def _opens(self, own: Authenticator, code: str) -> bool:
        if own.type == Authenticator.Type.RECOVERY_CODES:
            return bool(own.wrap().validate_code(code))
        # Not TOTP.validate_code: it remembers used codes in the cache.
        right = validate_totp_code(decrypt(own.data["secret"]), code)
        return right and not limits.take(limits.CODE_USED, f"{self.user.pk}:{code}")


class CodeForm(CodeMixin, AuthenticateForm):  # type: ignore[misc]
    """The second step of signing in."""


class ReauthenticateCodeForm(CodeMixin, ReauthenticateForm):  # type: ignore[misc]
    """The second factor, asked again before a change to it."""


class ResetPasswordForm(AllauthResetPasswordForm):  # type: ignore[misc]
    """Asks for the mail with the link; says the same whether anybody has the address."""

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        self.users = get_user_model().objects.filter(email__iexact=email, is_active=True)
        return email

    def count(self, request: HttpRequest) -> None:
        """One try of this address (of a network). Raises ValidationError that says how long."""
        network = addresses.network(addresses.client_address(request))
        with waiting_told():
            if seconds := limits.take(limits.RESET_ADDRESS, network):
                raise errors.TooMany(retry_after=seconds)


class ChangePasswordForm(AllauthChangePasswordForm):  # type: ignore[misc]
    """A stolen session may not try the old password any faster than the sign-in page would."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.request: HttpRequest = kwargs.pop("request")
        super().__init__(*args, **kwargs)

    def clean_oldpassword(self) -> str:
        with waiting_told():
            attempt = limits.SignInTry.begin(
                self.user.get_username(), addresses.client_address(self.request)
            )
        password: str = super().clean_oldpassword()
        attempt.succeeded()
        return password
