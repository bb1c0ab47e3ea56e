"""Very many cases at once: copies of one that came in by the door, made by the database."""

from django.db import connection, models

from tickets.models import Clock, Ticket


def multiply(model: Ticket, count: int) -> None:
    """``count`` more cases like this one, with its clocks and at its moments."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM tickets_ticket")
        last = cursor.fetchone()[0]
        own = {"public_id": "gen_random_uuid()", "number": "own.number || '-' || n"}
        cursor.execute(
            f"INSERT INTO tickets_ticket ({_columns(Ticket)}) SELECT {_values(Ticket, own)} "
            "FROM tickets_ticket AS own, generate_series(%s, %s) AS n WHERE own.id = %s",
            [last + 1, last + count, model.pk],
        )
        cursor.execute(
            f"INSERT INTO tickets_clock ({_columns(Clock)}) "
            f"SELECT {_values(Clock, {'ticket_id': 'copy.id'})} "
            "FROM tickets_ticket AS copy, tickets_clock AS own "
            "WHERE copy.id > %s AND own.ticket_id = %s ORDER BY copy.id, own.id",
            [last, model.pk],
        )
        cursor.execute("SELECT setval('tickets_number', nextval('tickets_number') + %s)", [count])
        cursor.execute("ANALYZE tickets_ticket, tickets_clock")


def _columns(model: type[models.Model]) -> str:
    return ", ".join(f'"{name}"' for name in _names(model))


def _values(model: type[models.Model], changed: dict[str, str]) -> str:
    return ", ".join(changed.get(name, f'own."{name}"') for name in _names(model))


def _names(model: type[models.Model]) -> list[str]:
    return [str(field.column) for field in model._meta.concrete_fields if not field.primary_key]
