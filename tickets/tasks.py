"""Celery's entry points to the SLA engine."""

from celery import shared_task

from tickets import clocks


@shared_task
def scan_sla_clocks() -> None:
    """Flag what is due. Run twice it does nothing more; never run, the ticker does the same."""
    clocks.sweep()
