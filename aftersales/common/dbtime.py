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
    """Now by the database's clock, aware; read at this statement, not at the transaction's start."""
    pinned = _pinned.get()
    if pinned is not None:
        return pinned
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment


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
