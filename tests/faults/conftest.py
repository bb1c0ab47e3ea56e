"""Servers for all fault tests, and a scene for each."""

from collections.abc import Iterator

import pytest
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker

from tests.faults import population
from tests.faults.harness import Ground, Scene, ground, scene
from tests.messaging.stubs import MailServer, free_port, running


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


@pytest.fixture
def stage(
    servers: Ground, mail_server: MailServer, django_db_blocker: DjangoDbBlocker
) -> Iterator[Scene]:
    """A fresh database that this process sees, the portal's processes not started yet."""
    cache = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}
    cache["default"]["LOCATION"] = servers.valkey.url
    with (
        django_db_blocker.unblock(),
        override_settings(
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=mail_server.port,
            CACHES=cache,
        ),
        scene(servers, free_port(), EMAIL_URL=f"smtp://127.0.0.1:{mail_server.port}") as found,
    ):
        yield found
