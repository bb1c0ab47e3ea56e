"""Guards that hold before any view is chosen."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from aftersales.common import errorpages, errors
from aftersales.common.api import parsers, problems

Next = Callable[[HttpRequest], HttpResponse]


def refuse_unstorable_text(get_response: Next) -> Next:
    """No address or query with a NUL byte gets further: PostgreSQL would answer it with a fault."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if parsers.is_storable(request.path_info) and all(
            parsers.is_storable(name) and all(map(parsers.is_storable, values))
            for name, values in request.GET.lists()
        ):
            return get_response(request)
        problem = errors.Invalid(errors.FieldError("", "unstorable_text", parsers.UNSTORABLE))
        if request.path.startswith(errorpages.API_PREFIX):
            return problems.as_response(problem, request)
        return errorpages.bad_request(request, problem)

    return middleware
