"""The customer's secret link to a case."""

from datetime import datetime

from aftersales.messaging import links
from tickets import states
from tickets.models import Ticket


def follow_up_url(ticket: Ticket, now: datetime) -> str:
    """The address of the customer's page: one link a case, reused while it lives long enough."""
    link = links.reuse(
        states.CASE_LINK, str(ticket.public_id), lives=states.CASE_LINK_LIVES, now=now
    )
    return links.address(link)
