"""The customer's secret link to a case."""

from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from aftersales.messaging import links, topics
from aftersales.messaging.models import Link
from tickets.models import Ticket

CASE_LINK = "case"
LIVES = timedelta(days=90)


def follow_up_url(ticket: Ticket, now: datetime) -> str:
    """The whole address of the customer's page; issues a link that lives for 90 days."""
    token = links.issue(
        CASE_LINK, str(ticket.public_id), expires_at=now + LIVES, now=now
    )
    return f"{settings.BASE_URL}/c/{token}/"
