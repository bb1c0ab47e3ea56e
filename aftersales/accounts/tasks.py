"""What has to be swept out once in a while."""

from celery import shared_task
from django.core.management import call_command

from aftersales.accounts.models import AttemptLimit, IdempotentRequest
from aftersales.common import dbtime

AT_ONCE = 5000


@shared_task
def clean_accounts() -> None:
    """Remove ended limits, answers kept long enough, and expired sessions.

    Harmless twice; if it never ran, tables would grow and nothing else would change.
    """
    now = dbtime.database_now()
    ended = AttemptLimit.objects.filter(ends_at__lt=now).order_by("ends_at")
    AttemptLimit.objects.filter(pk__in=ended.values("pk")[:AT_ONCE]).delete()
    kept = IdempotentRequest.objects.filter(keep_until__lt=now).order_by("keep_until")
    IdempotentRequest.objects.filter(pk__in=kept.values("pk")[:AT_ONCE]).delete()
    call_command("clearsessions")
