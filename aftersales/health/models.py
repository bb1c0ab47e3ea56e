"""What the watchman remembers: when each scheduled task last did its work."""

from django.db import models
from django.db.models.functions import Now


class TaskRun(models.Model):
    """One scheduled task: since when it is expected to run, and how its last runs ended.

    Written by the receivers of Celery's signals, read by the readiness check. Beat writes the row
    when it starts, so that a task which has never run can be overdue too.
    """

    name = models.CharField(max_length=200, unique=True)
    expected_since = models.DateTimeField(db_default=Now())
    succeeded_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, db_default="", blank=True)

    def __str__(self) -> str:
        return self.name
