"""Nothing that a person wrote reaches a log; every line of a request has its id."""

import json
import logging
import logging.config
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path, resolve

from aftersales.common import logs

NAME = "张三丰"
MAIL = "zhang@example.com"
PHONE = "+86 138 0013 8000"


def ask(request: HttpRequest, token: str) -> HttpResponse:
    structlog.get_logger("ours").info("looked_up", cases=3)
    logging.getLogger("theirs").warning("slow %s", "disk")
    if "fail" in request.GET:
        raise ValidationError(f"No such customer: '{NAME}', {MAIL}, {PHONE}")
    return HttpResponse("")


def nothing_here(request: HttpRequest, exception: Exception) -> HttpResponse:
    return HttpResponse(status=404)


urlpatterns = [path("case/<str:token>/", ask)]
handler404 = nothing_here


class Lines(logging.Handler):
    """Everything that would be written, as the real formatter writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        configuration = logging.config.DictConfigurator(logs.configuration("INFO"))
        formatters = configuration.config["formatters"]
        self.setFormatter(configuration.configure_formatter(formatters["json"]))

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    def find(self, event: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            line for line in map(json.loads, self.texts) if line["event"] == event
        )
        return found


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def get() -> Iterator[Callable[..., Any]]:
    with override_settings(ROOT_URLCONF=__name__):
        yield Client(raise_request_exception=False).get


def test_it_writes_route_answer_and_time_but_no_address(
    lines: Lines, get: Callable[..., Any]
) -> None:
    get(f"/case/secret-token/?name={NAME}")
    line = lines.find("request_finished")
    assert line["request"] == "GET /case/<str:token>/"
    assert line["code"] == 200
    assert line["milliseconds"] >= 0
    assert "secret-token" not in "".join(lines.texts)
    assert NAME not in "".join(lines.texts)


def test_it_puts_the_requests_id_on_every_line_and_on_the_answer(
    lines: Lines, get: Callable[..., Any]
) -> None:
    answer = get("/case/1/")
    assert len(answer["X-Request-ID"]) == 36
    for event in ("looked_up", "slow disk", "request_finished"):
        assert lines.find(event)["request_id"] == answer["X-Request-ID"]
    assert get("/case/1/")["X-Request-ID"] != answer["X-Request-ID"]


def test_it_does_not_believe_an_id_from_outside(get: Callable[..., Any]) -> None:
    assert get("/case/1/", headers={"X-Request-ID": "forged"})["X-Request-ID"] != "forged"


def test_it_keeps_the_traceback_of_a_failure_and_drops_what_it_quotes(
    lines: Lines, get: Callable[..., Any]
) -> None:
    answer = get("/case/secret-token/?fail=1")
    assert answer.status_code == 500
    line = lines.find("request_failed")
    assert "ValidationError" in line["exception"]
    assert "in ask" in line["exception"]
    assert line["request_id"] == answer["X-Request-ID"]
    everything = "".join(lines.texts)
    for secret in (NAME, MAIL, PHONE, "secret-token"):
        assert secret not in everything


def test_it_names_no_address_when_nothing_is_there(lines: Lines, get: Callable[..., Any]) -> None:
    assert get("/case/secret-token/elsewhere").status_code == 404
    assert lines.find("request_finished")["request"] == "GET no route"
    assert "secret-token" not in "".join(lines.texts)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('value violates unique constraint "tickets_once"', None),
        ("DETAIL:  Key (phone)=(13800138000) already exists.", "DETAIL: …"),
        (f"KeyError: '{NAME}'", "KeyError: …"),
        ("call 13800138000 now", "call … now"),
        ("mail to a.b@example.com", "mail to …"),
        ("it's 5 of 10", None),
        ('  File "/app/x.py", line 12, in get', None),
    ],
)
def test_it_leaves_out_quotations_and_keeps_what_a_developer_needs(
    text: str, left: str | None
) -> None:
    assert logs.without_quotations(text) == (text if left is None else left)


@pytest.mark.parametrize("is_known", [True, False])
def test_it_lets_django_write_no_address(lines: Lines, is_known: bool) -> None:
    request = RequestFactory().post("/case/secret-token/")
    if is_known:
        request.resolver_match = resolve(request.path, urlconf=__name__)
    logging.getLogger("django.security.csrf").warning(
        "Forbidden (%s): %s", "cookie not set", request.path, extra={"request": request}
    )
    place = "case/<str:token>/" if is_known else logs.LEFT_OUT
    assert lines.find(f"Forbidden (cookie not set): {place}")
    assert "secret-token" not in "".join(lines.texts)


def test_it_lets_gunicorn_write_no_address(lines: Lines) -> None:
    logging.getLogger("gunicorn.error").error("Error handling request /case/secret-token/?a=b")
    logging.getLogger("gunicorn.access").info("GET /case/secret-token/")
    assert "secret-token" not in "".join(lines.texts)
    assert "Error handling request" in "".join(lines.texts)


def test_it_is_how_worker_and_beat_write_too() -> None:
    script = (
        "import logging, warnings; from aftersales.celery import app; app.log.setup();"
        "logging.getLogger('celery.task').warning('slow %s', 'disk'); warnings.warn('old')"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=settings.BASE_DIR, capture_output=True, text=True
    )
    slow, old = (json.loads(line) for line in result.stderr.splitlines())
    assert (slow["event"], slow["logger"]) == ("slow disk", "celery.task")
    assert old["logger"] == "py.warnings"


def test_it_is_what_the_settings_and_gunicorn_use() -> None:
    from aftersales import webserver

    for used in (settings.LOGGING, webserver.logconfig_dict):
        assert used["formatters"]["json"]["processors"][1] is logs.leave_out_quotations
        assert used["loggers"]["gunicorn.access"]["handlers"] == []
