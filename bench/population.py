"""Many cases in little time: copies of one real case, made by SQL inside the database."""

from django.db import connection

from tickets.models import Ticket

_TICKETS = """
INSERT INTO tickets_ticket ({columns})
SELECT {values} FROM tickets_ticket, generate_series(1, %(count)s) AS n WHERE id = %(model)s
"""
_CLOCKS = """
INSERT INTO tickets_clock ({columns})
SELECT {values} FROM tickets_clock AS clock
JOIN tickets_ticket AS copy ON copy.id > %(model)s WHERE clock.ticket_id = %(model)s
"""


def copy_case(model: Ticket, count: int) -> None:
    """``count`` copies of a case with its clocks, received one second apart before it, none due."""
    ticket = {
        "public_id": "gen_random_uuid()",
        "number": "'B' || lpad(n::text, 12, '0')",
        "external_ref": "NULL",
        "received_at": "received_at - n * interval '1 second'",
        "created_at": "created_at - n * interval '1 second'",
        "originals": "NULL",
        "submission_id": "NULL",
    }
    _insert(_TICKETS, "tickets_ticket", ticket, model, count)
    _insert(_CLOCKS, "tickets_clock", {"ticket_id": "copy.id"}, model, count, prefix="clock.")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tickets_ticket, tickets_clock")


def _insert(
    statement: str, table: str, changed: dict[str, str], model: Ticket, count: int, prefix: str = ""
) -> None:
    with connection.cursor() as cursor:
        names = [
            column.name for column in connection.introspection.get_table_description(cursor, table)
        ]
        names.remove("id")
        columns = ", ".join(f'"{name}"' for name in names)
        values = ", ".join(changed.get(name, f'{prefix}"{name}"') for name in names)
        cursor.execute(
            statement.format(columns=columns, values=values), {"count": count, "model": model.pk}
        )


def make_due(count: int) -> int:
    """Let the response clock of ``count`` cases be due a second ago; returns how many there are."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH chosen AS (
                SELECT c.id, c.ticket_id FROM tickets_clock c
                WHERE c.kind = 'response' AND c.state = 'running' AND c.breached_at IS NULL
                ORDER BY c.id LIMIT %s
            ), due AS (
                UPDATE tickets_clock c SET due_at = clock_timestamp() - interval '1 second',
                    next_at = clock_timestamp() - interval '1 second',
                    stage_at = ARRAY[clock_timestamp() - interval '1 second'], stage_keys = '{0}'
                FROM chosen WHERE c.id = chosen.id RETURNING c.ticket_id
            )
            UPDATE tickets_ticket t SET wake_at = clock_timestamp() - interval '1 second'
            FROM due WHERE t.id = due.ticket_id
            """,
            [count],
        )
        touched: int = cursor.rowcount
    return touched
