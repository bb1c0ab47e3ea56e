"""In-page notices: what the bell shows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from aftersales.accounts.models import Role, User
from aftersales.messaging import texts, topics
from aftersales.messaging.models import Notice

DEAD_LETTERS = "/admin/messaging/outbox/?state=dead"


def list_for(user: User) -> QuerySet[Notice]:
    """This person's notices and nobody else's, newest first; slice it."""
    return Notice.objects.filter(user=user).order_by("-id")


def unread_count(user: User) -> int:
    """The figure at the bell."""
    return Notice.objects.filter(user=user, read_at__isnull=True).count()


def mark_read(user: User, *, now: datetime, ids: Sequence[int] | None = None) -> int:
    """Marks the named ones of this person as read, or all; how many were unread until now."""
    unread = Notice.objects.filter(user=user, read_at__isnull=True)
    if ids is not None:
        unread = unread.filter(id__in=ids)
    return unread.update(read_at=now)


def text_of(notice: Notice) -> str:
    """The notice as one line in the reader's language. Plain text: the page escapes it."""
    template = topics.notice_template(notice.event_key)
    values = {"event_key": notice.event_key, **notice.params}
    return texts.one_line(template, values)


def tell_administrators(
    event_key: str, params: Mapping[str, Any], *, now: datetime, url: str = ""
) -> int:
    """A notice to every administrator who has no unread one that says the same already."""
    administrators = User.objects.filter(roles__contains=[Role.ADMINISTRATOR], is_active=True)
    told = Notice.objects.filter(
        event_key=event_key, params=dict(params), read_at__isnull=True, user__in=administrators
    ).values_list("user_id", flat=True)
    rows = [
        Notice(user=user, event_key=event_key, params=dict(params), url=url, created_at=now)
        for user in administrators.exclude(id__in=told)
    ]
    return len(Notice.objects.bulk_create(rows))
