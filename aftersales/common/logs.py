"""Logs of every process: one JSON object a line, and nothing in it that a person wrote.

Imported by the settings and by gunicorn's configuration, so it must not read settings itself.
"""

import logging
import re
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# What an error message may quote from a row or a request: everything in quotes but a plain
# identifier (a constraint, a column), addresses, long numbers, and the row that PostgreSQL repeats.
QUOTED = re.compile(r"""(['"])((?:(?!\1).)*)\1""")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z_.]{0,80}\d{0,4}")
MAIL = re.compile(r"[^\s<>\"']+@[^\s<>\"']+")
NUMBER = re.compile(r"\+?\d[\d -]{4,}\d")
ROW = re.compile(r"\b(DETAIL|CONTEXT):.*")
PATH = re.compile(r"(?<=\s)/\S+")
LEFT_OUT = "…"


def without_quotations(text: str) -> str:
    """An error text without what it quotes; frames and source lines of a traceback stay whole."""
    return "\n".join(
        line if line.startswith("  ") else _unquoted(line) for line in text.split("\n")
    )


def _unquoted(line: str) -> str:
    line = ROW.sub(rf"\1: {LEFT_OUT}", line)
    line = QUOTED.sub(lambda match: match[0] if IDENTIFIER.fullmatch(match[2]) else LEFT_OUT, line)
    return NUMBER.sub(LEFT_OUT, MAIL.sub(LEFT_OUT, line))


def leave_out_quotations(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Last step before rendering: error texts of ours and of libraries lose what they quote."""
    for key in ("exception", "error", "reason"):
        if key in event:
            event[key] = without_quotations(str(event[key]))
    if event.get("_from_structlog") is False:
        event["event"] = without_quotations(str(event["event"]))
        if str(event.get("logger", "")).startswith("gunicorn"):
            event["event"] = PATH.sub(LEFT_OUT, event["event"])
    return event


def leave_out_address(record: logging.LogRecord) -> bool:
    """Filter for Django's request loggers: an address can hold a secret link, its route cannot."""
    request = getattr(record, "request", None)
    if request is not None and isinstance(record.args, tuple):
        match = getattr(request, "resolver_match", None)
        route = match.route if match else LEFT_OUT
        record.args = tuple(
            route if argument == request.path else argument for argument in record.args
        )
    return True


COMMON: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.TimeStamper(fmt="iso"),
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
]


def configuration(level: str) -> dict[str, Any]:
    """For ``logging.config.dictConfig``, in Django, Celery and gunicorn alike."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.processors.format_exc_info,
                    leave_out_quotations,
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(ensure_ascii=False),
                ],
                "foreign_pre_chain": COMMON,
            }
        },
        "filters": {"without_address": {"()": lambda: leave_out_address}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # The request's own line, with its route and its id, says it already.
            "django.request": {"level": "CRITICAL"},
            "django.security.csrf": {"filters": ["without_address"]},
            # One line for each request of the same kind, but with the query string.
            "gunicorn.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
            "gunicorn.error": {"handlers": [], "level": level, "propagate": True},
            # A task runs every second; one that fails has its line, with its id, from structlog.
            "celery.app.trace": {"level": "CRITICAL"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
        },
    }


def configure_structlog() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *COMMON,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
