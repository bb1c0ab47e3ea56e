"""Writes the engine's rows in bulk: clocks, events with their outbox row, the cases' wake times.

``bulk_update`` wrote some 350 flags a second, these statements several thousand (``make bench``).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from aftersales.accounts.actors import SYSTEM, Actor
from tickets.models import Clock, Ticket

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

_WRITE_CLOCKS = """
UPDATE tickets_clock AS clock SET
    target_id = new.target_id, calendar_version_id = new.calendar_version_id,
    provisional = new.provisional, due_at = new.due_at, risk_at = new.risk_at,
    next_at = new.next_at, stage_at = new.stage_at, stage_keys = new.stage_keys,
    stage = new.stage, met_at = new.met_at, breached_at = new.breached_at,
    breach_cause = new.breach_cause, state = new.state, resumes_at = new.resumes_at
FROM jsonb_to_recordset(%s) AS new (id bigint, target_id bigint, calendar_version_id bigint,
    provisional boolean, due_at timestamptz, risk_at timestamptz, next_at timestamptz,
    stage_at timestamptz[], stage_keys text[], stage text, met_at timestamptz,
    breached_at timestamptz, breach_cause text, state text, resumes_at timestamptz)
WHERE clock.id = new.id
"""

_CLOCK_COLUMNS = (
    "id",
    "target_id",
    "calendar_version_id",
    "provisional",
    "due_at",
    "risk_at",
    "next_at",
    "stage_at",
    "stage_keys",
    "stage",
    "met_at",
    "breached_at",
    "breach_cause",
    "state",
    "resumes_at",
)

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


def write_clocks(clocks: Sequence[Clock]) -> None:
    """Update every column of these clocks that the engine may change, in one statement."""
    if not clocks:
        return
    rows = [{name: _plain(getattr(clock, name)) for name in _CLOCK_COLUMNS} for clock in clocks]
    with connection.cursor() as cursor:
        cursor.execute(_WRITE_CLOCKS, [json.dumps(rows)])


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


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
