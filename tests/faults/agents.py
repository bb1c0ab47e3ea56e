"""People at work while things break: they take, answer, pause, regrade and solve cases."""

import random
from collections.abc import Callable

from aftersales.common import errors
from tests.faults import population
from tickets import workflow
from tickets.models import Ticket
from tickets.states import Level, Status


class Agents:
    """One act on one case at a time, drawn by chance from what its state allows."""

    def __init__(self, ids: list[int]) -> None:
        self._ids = ids
        self._by = population.actor(population.SUPERVISOR)
        self._agent = population.person(population.AGENT)
        self._acts: dict[str, list[Callable[[int], object]]] = {
            Status.NEW: [self._assign, self._assign, self._grade],
            Status.ASSIGNED: [self._reply, self._wait, self._grade],
            Status.IN_PROGRESS: [self._reply, self._wait, self._wait, self._grade, self._resolve],
            Status.WAITING: [self._resume, self._grade],
        }

    def act(self) -> int:
        """Returns 1 if something was done; what another was quicker with counts as nothing."""
        ticket_id = random.choice(self._ids)
        status = Ticket.objects.values_list("status", flat=True).get(pk=ticket_id)
        if status not in self._acts:
            return 0
        try:
            random.choice(self._acts[status])(ticket_id)
        except errors.DomainError:
            return 0
        return 1

    def _assign(self, ticket_id: int) -> None:
        workflow.assign_ticket(ticket_id, owner_id=self._agent.pk, by=self._by)

    def _reply(self, ticket_id: int) -> None:
        workflow.reply_to_customer(ticket_id, workflow.Words("请先断电。"), by=self._by)

    def _wait(self, ticket_id: int) -> None:
        reason = random.choice(["customer", population.BRIEF])
        workflow.wait_ticket(ticket_id, reason=reason, by=self._by)

    def _resume(self, ticket_id: int) -> None:
        workflow.resume_ticket(ticket_id, by=self._by)

    def _grade(self, ticket_id: int) -> None:
        level = random.choice(Level.values)
        workflow.grade_ticket(ticket_id, level=level, reason="复核", by=self._by)

    def _resolve(self, ticket_id: int) -> None:
        workflow.resolve_ticket(ticket_id, resolution="已解决。", by=self._by)
