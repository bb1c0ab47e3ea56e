"""Two connections on one case: run something in a thread, and wait until it waits for a lock."""

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from django.db import connection

from aftersales.common import dbtime

PATIENCE = 30.0  # seconds


class Runner:
    """A function in a thread of its own, with its own connection and the test's frozen time."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self._call: Callable[[], Any] = lambda: function(*args, **kwargs)
        self._moment = dbtime.pinned()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with dbtime.at(self._moment) if self._moment else nullcontext():
                self.result = self._call()
        except Exception as error:
            self.error = error
        finally:
            connection.close()

    def outcome(self) -> Any:
        """What the function returned or raised, as a value."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "The thread hangs."
        return self.error if self.error is not None else self.result

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()


def together(*functions: Callable[[], Any]) -> list[Any]:
    """Start all at one moment; what each returned or raised, in order."""
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], Any]) -> Any:
        connection.ensure_connection()
        barrier.wait(PATIENCE)
        return function()

    runners = [Runner(run, function) for function in functions]
    return [runner.outcome() for runner in runners]


def wait_until_blocked(runner: Runner) -> None:
    """Until another connection waits for a lock that this one holds."""
    end = time.monotonic() + PATIENCE
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute(
                "SELECT count(*) FROM pg_locks "
                "WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
            assert runner.is_running, f"It never waited: {runner.outcome()!r}"
            time.sleep(0.01)
    raise AssertionError("Nobody waits for this connection.")
