"""The SLA engine. Upper apps import this package and tickets.workflow, and nothing else of tickets
but its models."""

from tickets.clocks.case import open_case, wait_lapsed
from tickets.clocks.policies import in_force, policy
from tickets.clocks.promises import Case
from tickets.clocks.rebasing import rebase
from tickets.clocks.regrading import regrade
from tickets.clocks.sweep import PUSH, sweep

__all__ = [
    "PUSH",
    "Case",
    "in_force",
    "open_case",
    "policy",
    "rebase",
    "regrade",
    "sweep",
    "wait_lapsed",
]
