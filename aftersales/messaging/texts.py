"""Plain text from templates: mails, short messages and notices are no HTML."""

from collections.abc import Mapping
from typing import Any, cast

from django.template import Context
from django.template.backends.django import Template as DjangoTemplate
from django.template.loader import get_template


def plain(template: str, values: Mapping[str, Any]) -> str:
    """The template in the active language, unescaped: whoever puts it in a page escapes it."""
    found = cast(DjangoTemplate, get_template(template))
    return found.template.render(Context(dict(values), autoescape=False))


def one_line(template: str, values: Mapping[str, Any]) -> str:
    """``plain`` on a single line: a subject with a line break would start another header."""
    return " ".join(plain(template, values).split())


def path(name: str, part: str) -> str:
    """Where "tickets/received" keeps its "subject", "body" or "sms"."""
    app, _, message = name.partition("/")
    return f"{app}/messages/{message}.{part}.txt"
