"""Test topics, and the servers that messages go to."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from aftersales.messaging import topics
from tests.messaging.stubs import MailServer, Receiver, running

Register = Callable[..., None]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Like topics.register, until the test ends."""
    monkeypatch.setattr(topics, "_topics", dict(topics._topics))
    monkeypatch.setattr(topics, "_contexts", dict(topics._contexts))
    monkeypatch.setattr(topics, "_link_views", dict(topics._link_views))
    return topics.register


@pytest.fixture
def mail_template(register: Register, settings: Settings) -> str:
    """A template of its own: the params under their names, and a name from the context builder."""
    settings.TEMPLATES = [
        {
            **settings.TEMPLATES[0],
            "APP_DIRS": False,
            "DIRS": [],
            "OPTIONS": {
                "loaders": [("django.template.loaders.locmem.Loader", TEMPLATES)],
            },
        }
    ]
    topics.register_template("probe/hello", context=lambda params: {**params, "name": "王'<b>小明"})
    return "probe/hello"


TEMPLATES = {
    "probe/messages/hello.subject.txt": "{% load i18n %}{% get_current_language as code %}\n"
    "{{ code }} {{ name }}\n{{ subject }}\n",
    "probe/messages/hello.body.txt": "{{ name }} {{ number }} {{ link }}",
    "probe/messages/hello.sms.txt": "{{ name }}\n{{ number }} {{ link }}",
}


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[MailServer]:
    """A mail server that Django sends to by SMTP."""
    with running(MailServer()) as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_TIMEOUT = 0.5
        yield server


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """A webhook receiver on the loopback, which is allowed here."""
    settings.WEBHOOKS_TO_PRIVATE_ADDRESSES = True
    with running(Receiver()) as server:
        yield server


@pytest.fixture
def probe() -> dict[str, Any]:
    return {}
