"""One log line a request: method, route, answer, time; and the id that the answer carries too."""

import time
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware


class RequestLogMiddleware(RequestMiddleware):
    """Binds ``request_id`` to every line of the request and answers with it as ``X-Request-ID``.

    The route stands for the address: an address can hold a secret link or, in its query, a name.
    """

    def prepare(self, request: HttpRequest) -> None:
        structlog.contextvars.clear_contextvars()
        request._began = time.monotonic()  # type: ignore[attr-defined]
        super().prepare(request)

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        context: dict[str, Any] = structlog.contextvars.get_contextvars()
        response["X-Request-ID"] = context.get("request_id", "")
        took = time.monotonic() - request._began  # type: ignore[attr-defined]
        structlog.contextvars.bind_contextvars(milliseconds=round(took * 1000))
        super().handle_response(request, response)

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        match = request.resolver_match
        return f"{request.method} {'/' + match.route if match else 'no route'}"
