"""What must hold after every fault: queries that find each violation, nothing if all is well."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db import connection

from aftersales.messaging.models import Outbox
from tests.faults.harness import until

QUERIES = {
    "a breached promise without exactly one event": """
        SELECT c.id, count(e.id) FROM tickets_clock c
        LEFT JOIN tickets_event e ON (e.clock_id, e.stage, e.due_at, e.params->>'cause')
            = (c.id, '0', c.due_at, c.breach_cause)
        WHERE c.breached_at IS NOT NULL GROUP BY c.id HAVING count(e.id) <> 1
    """,
    "a breach told of a promise that is not broken": """
        SELECT e.id, c.id FROM tickets_event e JOIN tickets_clock c ON c.id = e.clock_id
        WHERE e.stage = '0' AND c.breached_at IS DISTINCT FROM e.due_at AND NOT EXISTS (
            SELECT FROM tickets_event w
            WHERE w.clock_id = c.id AND w.name = 'clock.breach_withdrawn' AND w.id > e.id)
    """,
    "a stage told before its moment, or dated at another": """
        SELECT id, at, recorded_at FROM tickets_event
        WHERE stage <> '' AND recorded_at <= at OR stage = '0' AND at <> due_at
    """,
    "an event without exactly one outbox row, or the reverse": """
        SELECT e.id, o.id FROM tickets_event e
        FULL JOIN (SELECT * FROM messaging_outbox WHERE topic = 'tickets.event') o
            ON o.dedupe_key = 'event:' || e.id
        WHERE e.id IS NULL OR o.id IS NULL
    """,
    "a promise overdue and not flagged": """
        SELECT id, due_at FROM tickets_clock
        WHERE state = 'running' AND breached_at IS NULL
            AND due_at < clock_timestamp() - interval '15 seconds'
    """,
    "a promise kept late without its breach": """
        SELECT id FROM tickets_clock WHERE state = 'met' AND met_at > due_at AND breached_at IS NULL
    """,
    "a wake time that is not what the clocks say": """
        SELECT t.id, t.wake_at, own.wake_at FROM tickets_ticket t, LATERAL (
            SELECT min(at) AS wake_at FROM (
                SELECT next_at AS at FROM tickets_clock WHERE ticket_id = t.id AND state = 'running'
                UNION ALL
                SELECT limit_at FROM tickets_pause WHERE ticket_id = t.id AND ended_at IS NULL
            ) AS every) AS own
        WHERE t.wake_at IS DISTINCT FROM own.wake_at
    """,
    "a next deadline that is not what the clocks say": """
        SELECT t.id, t.next_due_at, own.due_at FROM tickets_ticket t, LATERAL (
            SELECT min(due_at) AS due_at FROM tickets_clock
            WHERE ticket_id = t.id AND state = 'running' AND party = 'us') AS own
        WHERE t.next_due_at IS DISTINCT FROM own.due_at
    """,
    "a clock whose next stage is not its first": """
        SELECT id FROM tickets_clock WHERE cardinality(stage_at) <> cardinality(stage_keys)
            OR state = 'running' AND next_at IS DISTINCT FROM stage_at[1]
    """,
    "a breach of ours without exactly one explanation": """
        SELECT c.id, count(x.id) FROM tickets_clock c JOIN tickets_target t ON t.id = c.target_id
        JOIN tickets_ticket own ON own.id = c.ticket_id AND own.status <> 'cancelled'
        LEFT JOIN tickets_explanation x ON x.clock_id = c.id AND x.state <> 'withdrawn'
            AND x.missed_at = c.due_at
        WHERE c.party = 'us' AND t.explain AND c.state <> 'cancelled'
        GROUP BY c.id HAVING count(x.id) <> (c.breached_at IS NOT NULL)::int
    """,
    "an explanation still asked for though nothing is to be explained": """
        SELECT x.id FROM tickets_explanation x JOIN tickets_clock c ON c.id = x.clock_id
        WHERE x.state IN ('due', 'submitted', 'returned')
            AND x.missed_at IS DISTINCT FROM c.breached_at
    """,
    "an explanation without its own promise": """
        SELECT x.id FROM tickets_explanation x WHERE NOT EXISTS (
            SELECT FROM tickets_clock c WHERE c.ticket_id = x.ticket_id
            AND (c.kind, c.subject) = ('explanation', x.number::text))
    """,
    "a case that could not be settled": "SELECT id FROM tickets_ticket WHERE wake_attempts > 0",
    "a case without the event of its receipt, or with two": """
        SELECT t.id, count(e.id) FROM tickets_ticket t
        LEFT JOIN tickets_event e ON e.ticket_id = t.id AND e.name = 'ticket.received'
        WHERE t.external_ref IS NOT NULL GROUP BY t.id HAVING count(e.id) <> 1
    """,
    "a request on record without an answer": """
        SELECT id FROM accounts_idempotentrequest WHERE status IS NULL OR body IS NULL
    """,
    "a dead letter": "SELECT id, last_error FROM messaging_outbox WHERE dead_at IS NOT NULL",
}


def violations() -> dict[str, list[Any]]:
    """The first few offenders of each rule that is broken now."""
    found = {}
    with connection.cursor() as cursor:
        for rule, sql in QUERIES.items():
            cursor.execute(sql)
            if rows := cursor.fetchmany(5):
                found[rule] = rows
    return found


def assert_nothing_lost_or_double() -> None:
    found = violations()
    assert not found, found


def pending(*names: str) -> int:
    """Rows of these topics that are still to be sent, now or later."""
    return Outbox.objects.pending().filter(topic__in=names).count()


def assert_mails_arrived(message_ids: list[str], *, kills: int) -> int:
    """Each mail reached the server; twice at the most once for each killed process.

    ``message_ids`` as the server saw them. Returns how many were raw duplicates.
    """
    assert not pending("mail")
    mails = Outbox.objects.filter(topic="mail", last_error="")
    wanted = {row.message_id for row in mails}
    arrived = Counter(text.strip("<>").partition("@")[0] for text in message_ids)
    lost, unknown = wanted - set(arrived), set(arrived) - wanted
    assert not lost, f"lost: {lost}"
    assert not unknown, f"from nowhere: {unknown}"
    duplicates = arrived.total() - len(arrived)
    assert duplicates <= kills, arrived.most_common(5)
    return duplicates


@dataclass(frozen=True)
class Lateness:
    """How long after their moment the stages so far were written, in seconds."""

    count: int
    median: float
    p99: float
    most: float

    def __str__(self) -> str:
        return (
            f"{self.count} flags, p50 {self.median:.2f} s, p99 {self.p99:.2f} s, "
            f"max {self.most:.2f} s late"
        )


def lateness() -> Lateness:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*), coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY late), 0),
                coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY late), 0),
                coalesce(max(late), 0)
            FROM (SELECT extract(epoch FROM recorded_at - at)::float AS late FROM tickets_event
                WHERE stage <> '') AS flags
            """
        )
        return Lateness(*cursor.fetchone())


def flags() -> int:
    """Stages written so far."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM tickets_event WHERE stage <> ''")
        count: int = cursor.fetchone()[0]
    return count


def more_flags(than: int, after: str) -> int:
    """Waits until there are more stages than so many; how many there are then."""
    until(lambda: flags() > than, f"flags after {after}")
    return flags()


def overdue_by() -> float:
    """By how many seconds the sweep is behind."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(wake_at)), 0)::float "
            "FROM tickets_ticket WHERE wake_at < clock_timestamp()"
        )
        behind: float = cursor.fetchone()[0]
    return behind
