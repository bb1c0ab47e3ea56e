"""Figures for Prometheus, read from the database at each scrape: no process holds its own."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from aftersales.common import dbtime
from aftersales.health import checks
from aftersales.health.models import TaskRun
from aftersales.messaging import figures
from tickets.models import Ticket


class Figures:
    """All gauges in one reading; each is answered from an index."""

    def collect(self) -> Iterator[Metric]:
        findings = checks.run_all()
        check = GaugeMetricFamily(
            "aftersales_check", "0 ready, 1 degraded, 2 failed", labels=["check"]
        )
        for name, finding in findings.items():
            check.add_metric([name], list(checks.Verdict).index(finding.verdict))
        yield check
        if findings["database"].verdict is checks.Verdict.READY:
            yield from self._cases()
            yield from self._messages()
            yield self._tasks()

    def _cases(self) -> Iterator[Metric]:
        now = dbtime.database_now()
        due = Ticket.objects.due_to_wake(now)
        yield _gauge(
            "aftersales_cases_waiting_for_sweep", "Cases with a stage that is due", due.count()
        )
        overdue = Ticket.objects.open().overdue(now).count()
        yield _gauge("aftersales_cases_overdue", "Open cases past a promise of ours", overdue)

    def _messages(self) -> Iterator[Metric]:
        waiting = figures.pending_count()
        age = figures.oldest_pending_age().total_seconds()
        yield _gauge("aftersales_messages_waiting", "Messages still to be sent", waiting)
        yield _gauge("aftersales_messages_oldest_seconds", "Wait of the most overdue message", age)
        yield _gauge(
            "aftersales_messages_given_up", "Messages for a person to replay", figures.dead_count()
        )

    def _tasks(self) -> Metric:
        last = GaugeMetricFamily(
            "aftersales_task_last_success_timestamp_seconds",
            "Last success of a scheduled task",
            labels=["task"],
        )
        for run in TaskRun.objects.exclude(succeeded_at=None):
            assert run.succeeded_at is not None  # noqa: S101
            last.add_metric([run.name], run.succeeded_at.timestamp())
        return last


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def render() -> bytes:
    registry = CollectorRegistry()
    registry.register(Figures())
    return generate_latest(registry)
