"""Pages of the account: sign-in chain, second factor, language, and the start page.

allauth's views, with the answers' codes put right: 422 for a form with faults, 429 while somebody
has to wait, 404 for a link that was used or is too old.
"""

from typing import Any, cast

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from aftersales.accounts import languages, second_factor
from aftersales.accounts.forms import (
    ChangePasswordForm,
    CodeForm,
    ReauthenticateCodeForm,
    ResetPasswordForm,
)
from aftersales.accounts.models import Role, User


class TellsWhatIsWrong:
    """A form with faults answers 422; one that must wait answers 429 and says how long."""

    def form_invalid(self, form: Any) -> HttpResponseBase:
        response: HttpResponseBase = super().form_invalid(form)  # type: ignore[misc]
        response.status_code = 422
        for error in _all_errors(form):
            if error.code == "too_many":
                response.status_code = 429
                response.headers["Retry-After"] = str((error.params or {})["seconds"])
        return response


def _all_errors(form: Any) -> list[ValidationError]:
    return [error for found in form.errors.as_data().values() for error in found]


@method_decorator(sensitive_post_parameters("password"), name="dispatch")
class SignInView(TellsWhatIsWrong, account.LoginView):  # type: ignore[misc]
    pass


class PasswordResetView(TellsWhatIsWrong, account.PasswordResetView):  # type: ignore[misc]
    form_class = ResetPasswordForm

    def get_form_class(self) -> type[ResetPasswordForm]:
        return ResetPasswordForm

    def form_valid(self, form: ResetPasswordForm) -> HttpResponseBase:
        try:
            form.count(self.request)
        except ValidationError as error:
            form.add_error(None, error)
            return self.form_invalid(form)
        response: HttpResponseBase = super().form_valid(form)
        return response


@method_decorator(never_cache, name="dispatch")
@method_decorator(sensitive_post_parameters("password1", "password2"), name="dispatch")
class PasswordResetFromKeyView(TellsWhatIsWrong, account.PasswordResetFromKeyView):  # type: ignore[misc]
    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponseBase:
        if context.get("token_fail"):
            kwargs["status"] = 404
        response: HttpResponseBase = super().render_to_response(context, **kwargs)
        return response


@method_decorator(login_required, name="dispatch")
class PasswordChangeView(TellsWhatIsWrong, account.PasswordChangeView):  # type: ignore[misc]
    def get_form_class(self) -> type[ChangePasswordForm]:
        return ChangePasswordForm

    def get_form_kwargs(self) -> dict[str, Any]:
        kwargs: dict[str, Any] = super().get_form_kwargs()
        return kwargs | {"request": self.request}

    def get_default_success_url(self) -> str:
        return reverse("accounts:home")


class ReauthenticateView(TellsWhatIsWrong, account.ReauthenticateView):  # type: ignore[misc]
    pass


class CodeView(TellsWhatIsWrong, mfa.AuthenticateView):  # type: ignore[misc]
    def get_form_class(self) -> type[CodeForm]:
        return CodeForm


@method_decorator(login_required, name="dispatch")
class ReauthenticateCodeView(TellsWhatIsWrong, mfa.ReauthenticateView):  # type: ignore[misc]
    def get_form_class(self) -> type[ReauthenticateCodeForm]:
        return ReauthenticateCodeForm


class TotpActivateView(TellsWhatIsWrong, totp.ActivateTOTPView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        required = second_factor.is_required(cast(User, self.request.user))
        return context | {"second_factor_required": required}


class TotpDeactivateView(TellsWhatIsWrong, totp.DeactivateTOTPView):  # type: ignore[misc]
    pass


class RecoveryCodesNewView(TellsWhatIsWrong, recovery.GenerateRecoveryCodesView):  # type: ignore[misc]
    pass


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    context = {
        "role_names": [Role(role).label for role in user.roles],
        "has_second_factor": second_factor.is_set_up(user),
    }
    return render(request, "account/home.html", context)


@require_POST
def set_language(request: HttpRequest) -> HttpResponse:
    """Remember the language in this browser, and for mails in the account; then back."""
    language = request.POST.get("language", "")
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = reverse("accounts:home")
    response = redirect(back)
    if language in dict(settings.LANGUAGES):
        languages.remember(response, language)
        if isinstance(request.user, User):
            User.objects.filter(pk=request.user.pk).update(language=language)
    return response
