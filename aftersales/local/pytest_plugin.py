"""Starts PostgreSQL and Valkey for a test run, before pytest-django reads the settings.

Loaded by ``-p`` from pyproject.toml. What the environment sets already is left alone, so the
workers of pytest-xdist, which inherit the environment, use the servers of their controller.
"""

import atexit
import os
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from aftersales.local import environment, messages, servers
from aftersales.local.processes import LocalError

_stack = pytest.StashKey[ExitStack]()
WITHOUT_SERVERS = (
    "--help",
    "-h",
    "--version",
    "-V",
    "--collect-only",
    "--co",
    "--markers",
    "--fixtures",
)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, args: list[str]
) -> Generator[None, object, object]:
    stack = early_config.stash[_stack] = ExitStack()
    atexit.register(stack.close)  # for ends that never reach pytest_unconfigure
    if not any(argument in WITHOUT_SERVERS for argument in args):
        try:
            os.environ.update(stack.enter_context(servers.throwaway()))
        except LocalError as error:
            raise pytest.UsageError(str(error)) from error
    if "PYTEST_XDIST_WORKER" not in os.environ:
        messages.compile_all()
    for name, value in environment.TEST_VALUES.items():
        os.environ.setdefault(name, value)
    return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    if (stack := config.stash.get(_stack, None)) is not None:
        stack.close()
