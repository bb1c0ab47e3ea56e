"""Several connections at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection, transaction

T = TypeVar("T")


def at_once(count: int, work: Callable[[], T]) -> list[T]:
    """What ``count`` threads got, each on its own connection, all let loose together."""
    gate = threading.Barrier(count)
    results: list[T] = []

    def run() -> None:
        connection.ensure_connection()
        gate.wait(10)
        try:
            results.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@contextmanager
def held_elsewhere(lock: Callable[[], object]) -> Iterator[None]:
    """Another connection holds ``lock`` in a transaction; ours gives up waiting after 0.2 s."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            lock()
            held.set()
            release.wait(10)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    held.wait(10)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        yield
    finally:
        release.set()
        other.join()
        connection.close()
