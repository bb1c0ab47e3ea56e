"""Writes the engine's rows in bulk: clocks, events with their outbox row, the cases' wake times.

``bulk_update`` wrote some 350 flags a second, these statements several thousand (``make bench``).
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models

from aftersales.accounts.actors import SYSTEM, Actor
from tickets.models import Clock, Explanation, Ticket

TOPIC = "tickets.event"  # the fan-out of one event to people and webhooks


@dataclass
class NewEvent:
    """An event to be written; fields as in tickets.models.Event."""

    ticket: Ticket
    name: str
    at: datetime
    actor: Actor = SYSTEM
    subject: str = ""
    clock: Clock | None = None
    stage: str = ""
    due_at: datetime | None = None
    reason: str = ""
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)


# ON CONFLICT: a stage that was reached once for this deadline, be it by the course of time or by
# regrading, is not told twice; the outbox row is made only for an event that was really written.
_WRITE_EVENTS = """
WITH written AS (
    INSERT INTO tickets_event (ticket_id, name, subject, clock_id, stage, due_at, actor_kind,
        actor_user_id, actor_label, reason, "before", "after", params, at, recorded_at)
    SELECT ticket_id, name, subject, clock_id, stage, due_at, actor_kind,
        actor_user_id, actor_label, reason, "before", "after", params, at, %s
    FROM jsonb_to_recordset(%s) AS event (position int, ticket_id bigint, name text, subject text,
        clock_id bigint, stage text, due_at timestamptz, actor_kind text, actor_user_id bigint,
        actor_label text, reason text, "before" jsonb, "after" jsonb, params jsonb, at timestamptz)
    ORDER BY position
    ON CONFLICT DO NOTHING
    RETURNING id
)
INSERT INTO messaging_outbox (topic, dedupe_key, payload, created_at, available_at)
SELECT %s, 'event:' || id, jsonb_build_object('event', id), %s, %s FROM written ORDER BY id
"""

_WRITE_WAKE_TIMES = """
UPDATE tickets_ticket AS ticket
SET wake_at = new.wake_at, next_due_at = new.next_due_at, wake_attempts = 0
FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS new (id, wake_at, next_due_at)
WHERE ticket.id = new.id
"""


def write_events(events: Sequence[NewEvent], now: datetime) -> None:
    """Insert the events and, for each, one outbox row, in one statement."""
    if not events:
        return
    rows = [
        {
            "position": position,
            "ticket_id": event.ticket.pk,
            "name": event.name,
            "subject": event.subject,
            "clock_id": event.clock.pk if event.clock else None,
            "stage": event.stage,
            "due_at": _iso(event.due_at),
            "actor_kind": event.actor.kind,
            "actor_user_id": event.actor.user.pk if event.actor.user else None,
            "actor_label": event.actor.label,
            "reason": event.reason,
            "before": event.before,
            "after": event.after,
            "params": event.params,
            "at": _iso(event.at),
        }
        for position, event in enumerate(events)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE_EVENTS, [now, json.dumps(rows, cls=DjangoJSONEncoder), TOPIC, now, now]
        )


def insert(new: Sequence[Clock] | Sequence[Explanation]) -> None:
    """Insert these rows of one model, in one statement, and give each its key."""
    if not new:
        return
    model = type(new[0])
    _learn_keys(new)
    with connection.cursor() as cursor:
        cursor.execute(_insertion(model), [_recordset(new, _columns(model))])
        for row, (pk,) in zip(new, cursor.fetchall(), strict=True):
            row.pk = pk
            row._state.adding = False
            row._state.db = connection.alias


def write_clocks(clocks: Sequence[Clock]) -> None:
    """Update every column of these clocks that the engine may change, in one statement."""
    if clocks:
        with connection.cursor() as cursor:
            cursor.execute(_clock_update(), [_recordset(clocks, ["id", *_changeable()])])


def write_wake_times(tickets: Sequence[Ticket]) -> None:
    """Store when each case needs the sweep and which promise is next, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE_WAKE_TIMES,
            [
                [ticket.pk for ticket in tickets],
                [ticket.wake_at for ticket in tickets],
                [ticket.next_due_at for ticket in tickets],
            ],
        )


def _learn_keys(new: Iterable[models.Model]) -> None:
    """What a row points at may have been without a key when the row was made."""
    for row in new:
        for column in row._meta.concrete_fields:
            if isinstance(column, models.ForeignKey) and column.is_cached(row):
                setattr(row, column.attname, getattr(row, column.name).pk)


@cache
def _insertion(model: type[models.Model]) -> str:
    names = ", ".join(f'"{name}"' for name in _columns(model))
    typed = _typed(model, _columns(model))
    return (
        f"INSERT INTO {model._meta.db_table} ({names}) SELECT {names} "  # noqa: S608 - our own names
        f"FROM jsonb_to_recordset(%s) AS new (position int, {typed}) ORDER BY position RETURNING id"
    )


@cache
def _clock_update() -> str:
    changes = ", ".join(f"{name} = new.{name}" for name in _changeable())
    return (
        f"UPDATE tickets_clock AS clock SET {changes} "  # noqa: S608 - our own names
        f"FROM jsonb_to_recordset(%s) AS new (id bigint, {_typed(Clock, _changeable())}) "
        "WHERE clock.id = new.id"
    )


def _columns(model: type[models.Model]) -> list[str]:
    return [str(field.column) for field in model._meta.concrete_fields if not field.primary_key]


def _changeable() -> list[str]:
    """Which promise it is, whose, and since when never changes."""
    fixed = {"ticket_id", "kind", "subject", "cycle", "party", "started_at"}
    return [name for name in _columns(Clock) if name not in fixed]


def _typed(model: type[models.Model], columns: Collection[str]) -> str:
    fields = [field for field in model._meta.concrete_fields if field.column in columns]
    return ", ".join(f'"{field.column}" {field.db_type(connection)}' for field in fields)


def _recordset(rows: Iterable[models.Model], columns: Sequence[str]) -> str:
    """The rows as JSON for jsonb_to_recordset, each with its position."""
    return json.dumps(
        [
            {"position": position} | {name: _plain(getattr(row, name)) for name in columns}
            for position, row in enumerate(rows)
        ]
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
