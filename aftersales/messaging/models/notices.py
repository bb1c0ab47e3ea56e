"""In-page notices."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Notice(models.Model):
    """One line in one person's bell: a key with parameters, rendered in the reader's language."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    event_key = models.CharField(max_length=60)
    params = models.JSONField(default=dict, db_default={}, blank=True)
    url = models.CharField(max_length=200, db_default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # Read by notices.list_for.
            models.Index(models.F("user"), models.F("id").desc(), name="messaging_notice_newest"),
            # Read by notices.unread_count and notices.mark_read.
            models.Index(
                fields=["user"], condition=Q(read_at__isnull=True), name="messaging_notice_unread"
            ),
        ]

    def __str__(self) -> str:
        return self.event_key
