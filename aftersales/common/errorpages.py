"""What Django itself refuses: a problem under /api/, a designed page elsewhere."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from aftersales.common import errors
from aftersales.common.api import problems

API_PREFIX = "/api/"


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    problem = problems.as_domain_error(exception) if exception else errors.DomainError()
    return _answer(request, problem)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, errors.NotAllowed())


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, errors.NotVisible())


def server_error(request: HttpRequest) -> HttpResponse:
    problem = problems.Internal()
    if request.path.startswith(API_PREFIX):
        return problems.as_response(problem, request)
    # Without the request: what the other pages ask of it may be what broke.
    context = {"request_id": problems.request_id()}
    return HttpResponse(render_to_string("500.html", context), status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token is missing or old: most often a page left open over a sign-out."""
    return render(request, "403_csrf.html", status=403)


def _answer(request: HttpRequest, problem: errors.DomainError) -> HttpResponse:
    if request.path.startswith(API_PREFIX):
        return problems.as_response(problem, request)
    page = problem.status if problem.status in {403, 404} else 400
    return render(request, f"{page}.html", {"problem": problem}, status=problem.status)
