"""Benchmarks stand on what the tests stand on."""

from tests.conftest import (  # noqa: F401 - fixtures
    _append_only_tables_are_emptied_between_tests,
    _test_settings,
)
