"""What every call about a case shares: who calls, and which case the address names."""

from rest_framework.views import APIView

from aftersales.accounts.actors import Actor
from aftersales.common import errors
from tickets.models import Ticket


class OfCases(APIView):
    """Base of the views whose address holds a case's ``public_id``."""

    @property
    def actor(self) -> Actor:
        actor: Actor = self.request._request.actor  # type: ignore[attr-defined]
        return actor

    def ticket_id(self) -> int:
        """Raises NotVisible alike for what is unknown and what is not the caller's."""
        found = Ticket.objects.visible_to(self.actor).filter(public_id=self.kwargs["public_id"])
        ticket_id = found.values_list("pk", flat=True).first()
        if ticket_id is None:
            raise errors.NotVisible()
        return ticket_id
