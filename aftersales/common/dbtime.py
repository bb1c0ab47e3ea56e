"""The one answer to "what time is it": the database's clock.

Every process asks the same clock, so two hosts whose clocks differ never disagree about a
deadline. ``at`` lets demo data and tests play a case in another week; inside it time stands still
until it is moved.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from django.db import connection

_pinned: ContextVar[datetime | None] = ContextVar("pinned_moment", default=None)


def database_now() -> datetime:
    """Now by the database's clock, aware; read at this statement, not at the transaction start."""
    held = pinned()
    if held is not None:
        return held
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment


def pinned() -> datetime | None:
    """The moment that ``at`` holds, or None; for a statement that asks the database itself."""
    return _pinned.get()


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Within the block it is ``moment``. Raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("A moment needs a time zone.")
    token = _pinned.set(moment)
    try:
        yield
    finally:
        _pinned.reset(token)
