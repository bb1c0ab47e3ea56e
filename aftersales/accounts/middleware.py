"""What holds for every page of a signed-in person."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from aftersales.accounts import second_factor
from aftersales.accounts.models import User

Next = Callable[[HttpRequest], HttpResponse]

# Where somebody without the demanded second factor may go: to set it up, and out.
OPEN = (
    "mfa_activate_totp",
    "mfa_reauthenticate",
    "account_reauthenticate",
    "account_login",
    "account_logout",
    "accounts:language",
)


def staff_pages(get_response: Next) -> Next:
    """Sends whoever lacks a demanded second factor to its set-up, and keeps pages out of caches.

    The API is not asked: a staff key is given out by an administrator, one by one.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path.startswith(("/api/", "/static/")) or not isinstance(request.user, User):
            return get_response(request)
        if second_factor.is_missing(request.user) and request.path not in map(reverse, OPEN):
            return _to_set_up(request)
        response = get_response(request)
        if "Cache-Control" not in response:
            add_never_cache_headers(response)
        return response

    return middleware


def _to_set_up(request: HttpRequest) -> HttpResponse:
    target = reverse("mfa_activate_totp")
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": target})
    return redirect(target)
