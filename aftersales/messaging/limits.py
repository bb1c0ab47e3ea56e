"""How much may go to one address: against mail bombing, and against our own mistakes."""

from datetime import datetime, timedelta
from typing import TypeGuard

from django.db import connection
from django.db.models import Q, QuerySet

from aftersales.customers.models import Contact
from aftersales.messaging import topics
from aftersales.messaging.drafts import ContactRef, Draft, MailDraft, SmsDraft
from aftersales.messaging.models import Outbox

HOUR = timedelta(hours=1)
# Nobody is written to more often than this by anything; the rest waits for the next hour.
MAILS_PER_HOUR = 30


def contacts_at(contact_id: int, topic: str) -> list[str]:
    """The recipients that share this contact's address on this topic, itself included."""
    column = "email_index" if topic == "mail" else "phone_index"
    index = Contact.objects.filter(id=contact_id).values(column)
    ids = Contact.objects.filter(Q(id=contact_id) | Q(**{f"{column}__in": index}))
    return [f"contact:{number}" for number in ids.order_by("id").values_list("id", flat=True)]


def messages_within_hour(contact_id: int, topic: str, *, now: datetime) -> int:
    """Messages to this contact's address: sent within the last hour, or still to be sent."""
    return _counted(contacts_at(contact_id, topic), topic, now).count()


def hold_flood(row: Outbox, *, now: datetime) -> None:
    """Raises Postponed when a contact's address had its share of mails within the hour."""
    kind, _, number = row.recipient.partition(":")
    if kind != "contact":
        return
    sent = Outbox.objects.filter(
        recipient__in=contacts_at(int(number), row.topic), topic=row.topic, sent_at__gt=now - HOUR
    )
    if sent.count() >= MAILS_PER_HOUR:
        raise topics.Postponed("AddressFlooded", until=now + HOUR / 6)


def lock_address(contact_id: int, topic: str) -> list[str]:
    """Whoever counts messages to this address waits until our transaction ends; ``contacts_at``."""
    keys = contacts_at(contact_id, topic)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [topic + keys[0]])
    return keys


def admit(wanted: list[tuple[Outbox, Draft]], *, now: datetime) -> list[tuple[Outbox, Draft]]:
    """Without the drafts over their own ``at_most`` an hour, counted for each address.

    In the transaction that inserts them. Locks the addresses in one order, so that expansions at
    the same time neither pass the limit together nor wait for each other in a ring.
    """
    limited = {
        (draft.topic, draft.to.id): contacts_at(draft.to.id, draft.topic)
        for _, draft in wanted
        if _is_limited(draft)
    }
    used: dict[str, int] = {}
    place: dict[tuple[str, int], str] = {}
    for (topic, number), same in sorted(limited.items(), key=lambda item: (item[0][0], item[1])):
        address = place[topic, number] = topic + same[0]
        if address not in used:
            lock_address(number, topic)
            used[address] = _counted(same, topic, now).filter(payload__limited=True).count()
    admitted = []
    for row, draft in wanted:
        if _is_limited(draft):
            address = place[draft.topic, draft.to.id]
            if used[address] >= (draft.at_most or 0):
                continue
            used[address] += 1
        admitted.append((row, draft))
    return admitted


def _is_limited(draft: Draft) -> TypeGuard[MailDraft | SmsDraft]:
    return (
        isinstance(draft, MailDraft | SmsDraft)
        and draft.at_most is not None
        and isinstance(draft.to, ContactRef)
    )


def _counted(recipients: list[str], topic: str, now: datetime) -> QuerySet[Outbox]:
    return Outbox.objects.filter(
        Q(sent_at__isnull=True) | Q(sent_at__gt=now - HOUR), recipient__in=recipients, topic=topic
    )
