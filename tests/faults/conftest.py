"""Servers for all fault tests, and a scene for each."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker

from tests.faults import population
from tests.faults.harness import Ground, Scene, ground, scene
from tests.messaging.stubs import MailServer, free_port, running

_told = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_told] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if told := config.stash.get(_told, []):
        terminalreporter.section("faults")
        for line in told:
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/faults/" in item.nodeid:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
def servers(django_db_blocker: DjangoDbBlocker) -> Iterator[Ground]:
    """PostgreSQL and a broker that may be killed, with a database to copy for each test."""
    with ground() as found:
        with django_db_blocker.unblock():
            found.make_template(population.lay_ground)
        yield found


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """Takes what the portal's processes send."""
    with running(MailServer()) as server:
        yield server


@contextmanager
def open_stage(request: pytest.FixtureRequest, mail_port: int | None = None) -> Iterator[Scene]:
    """A fresh database that this process sees, the portal's processes not started yet."""
    servers: Ground = request.getfixturevalue("servers")
    blocker: DjangoDbBlocker = request.getfixturevalue("django_db_blocker")
    told = request.config.stash.setdefault(_told, [])
    port = mail_port or free_port()
    cache = {"default": {**settings.CACHES["default"], "LOCATION": servers.valkey.url}}
    with (
        blocker.unblock(),
        override_settings(
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=port,
            CACHES=cache,
        ),
        scene(servers, free_port(), told.append, EMAIL_URL=f"smtp://127.0.0.1:{port}") as found,
    ):
        yield found


@pytest.fixture
def stage(request: pytest.FixtureRequest, mail_server: MailServer) -> Iterator[Scene]:
    """Everything new, and a mail server that listens."""
    with open_stage(request, mail_server.port) as found:
        yield found
