"""Readable case numbers: kind prefix, day in the firm's zone, running number of that day."""

from datetime import datetime

from django.db import connection
from django.utils import timezone

from tickets import states

_DRAW = """
WITH drawn AS (SELECT nextval('tickets_number') AS value)
SELECT drawn.value, drawn.value - day.base
FROM drawn LEFT JOIN tickets_numberday AS day ON day.day = %s
"""


def next_number(kind: str, now: datetime) -> str:
    """The next number, as in WX20231001001 (manual E 3.2); unique, sortable by day, gaps allowed.

    One sequence that is never reset, less where it stood when the day began: no row is locked
    per case. Only the first case of a day writes the day's row.
    """
    day = timezone.localtime(now).date()
    with connection.cursor() as cursor:
        while True:
            cursor.execute(_DRAW, [day])
            value, of_day = cursor.fetchone()
            if of_day is None:
                cursor.execute(
                    "INSERT INTO tickets_numberday (day, base) VALUES (%s, %s) "
                    "ON CONFLICT DO NOTHING",
                    [day, value],
                )
            elif of_day > 0:
                # A value drawn just before a competitor's base row counts below it: draw again.
                return f"{states.PREFIXES[states.Kind(kind)]}{day:%Y%m%d}{of_day:03d}"
