"""Celery's entry points to cases: the SLA engine, and their files."""

from celery import shared_task

from tickets import clocks, workflow


@shared_task
def scan_sla_clocks() -> None:
    """Flag what is due. Run twice it does nothing more; never run, the ticker does the same."""
    clocks.sweep()


@shared_task
def rebase_sla_clocks() -> None:
    """Let promises follow a corrected calendar. Twice: harmless; never: deadlines of old facts."""
    clocks.rebase()


@shared_task
def remove_orphan_files() -> None:
    """Sweep up what crashes left on the disk. Run twice or never, it is a matter of space only."""
    workflow.remove_orphan_files()


@shared_task
def close_unanswered_cases() -> None:
    """Close what nobody objected to. Run twice: closed once; never: cases stay resolved."""
    workflow.close_unanswered()
