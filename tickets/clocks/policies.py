"""Which promise applies to which case: matching inside one immutable policy version."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from tickets.models import GradingRule, PauseReason, PolicyVersion, Target, Ticket

_VALUES: dict[str, Callable[[Ticket], str]] = {
    "ticket_kind": lambda ticket: ticket.kind,
    "channel": lambda ticket: ticket.channel,
    "level": lambda ticket: ticket.level,
    "urgency": lambda ticket: ticket.urgency,
    "category": lambda ticket: (
        ticket.product.category.code if ticket.product and ticket.product.category else ""
    ),
    "product_tier": lambda ticket: ticket.product.tier if ticket.product else "",
    "customer_tier": lambda ticket: ticket.contact.customer.tier if ticket.contact else "",
}


@dataclass(frozen=True)
class Policy:
    """One version with its rules, read once by a process: published versions never change."""

    version: PolicyVersion
    targets: dict[str, list[Target]]  # by clock kind, closest match first
    targets_by_id: dict[int, Target]
    grading_rules: list[GradingRule]
    pause_reasons: dict[str, PauseReason]

    def target(self, clock_kind: str, ticket: Ticket) -> Target | None:
        """The closest target for this clock of this case; None where nothing is promised."""
        for target in self.targets.get(clock_kind, ()):
            if _fits(target, ticket):
                return target if target.budgets else None
        return None


def _fits(target: Target, ticket: Ticket) -> bool:
    """Compares only what the target asks for, so that a case's product is read only if needed."""
    wanted = ((name, getattr(target, name)) for name in Target.MATCHES)
    return all(value == _VALUES[name](ticket) for name, value in wanted if value)


@lru_cache(maxsize=32)
def policy(version_id: int) -> Policy:
    """A published policy version with everything that hangs on it."""
    version = PolicyVersion.objects.get(pk=version_id)
    targets: dict[str, list[Target]] = {}
    for target in sorted(
        version.targets.order_by("pk"), key=lambda target: target.closeness, reverse=True
    ):
        targets.setdefault(target.clock_kind, []).append(target)
    return Policy(
        version=version,
        targets=targets,
        targets_by_id={target.pk: target for rows in targets.values() for target in rows},
        grading_rules=list(version.grading_rules.order_by("pk")),
        pause_reasons={reason.code: reason for reason in version.pause_reasons.order_by("pk")},
    )


def in_force(now: datetime) -> Policy:
    """The policy that judges a case received now. Raises PolicyVersion.DoesNotExist if none is."""
    return policy(PolicyVersion.objects.values_list("pk", flat=True).get(in_force__contains=now))
