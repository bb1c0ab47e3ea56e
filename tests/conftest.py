"""What every test stands on. The servers are started by ``aftersales.local.pytest_plugin``."""

import os
from collections.abc import Iterator
from typing import Any

import pgtrigger
import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from hypothesis import settings as hypothesis_settings

# A busy machine is no failure.
hypothesis_settings.register_profile("ours", deadline=None)
hypothesis_settings.load_profile("ours")


@pytest.fixture(scope="session", autouse=True)
def _test_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A quick password hash, files in a temporary folder, a part of the cache for each worker."""
    files = tmp_path_factory.mktemp("files")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        MEDIA_ROOT=files / "media",
        SMS_DIRECTORY=files / "sms",
        # Whoever tests the throttles sets them low.
        API_REQUESTS_PER_MINUTE=10**9,
        API_ANONYMOUS_PER_MINUTE=10**9,
        CACHES={"default": {**settings.CACHES["default"], "KEY_PREFIX": worker}},
        # Look a static file up when it is asked for, instead of listing them all for every client.
        WHITENOISE_AUTOREFRESH=True,
    ):
        yield


@pytest.fixture(scope="session", autouse=True)
def _append_only_tables_are_emptied_between_tests() -> Iterator[None]:
    """Tests that commit end with a TRUNCATE, which these tables refuse to everybody else."""
    operations = type(connection.ops)
    flush = operations.execute_sql_flush

    def flush_all(self: Any, sql_list: Any) -> None:
        with pgtrigger.ignore():
            flush(self, sql_list)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "execute_sql_flush", flush_all)
        yield
