"""Tells managers what the protection of personal data wants them to hear of."""

from django.db import transaction

from aftersales.accounts.models import Role, User
from aftersales.common import dbtime
from aftersales.customers import grants
from aftersales.messaging.models import Notice

EVENT = "personal_data.{kind}"


@transaction.atomic
def tell_managers() -> int:
    """A notice to every manager for each alert nobody was told of; how many alerts there were.

    Alert and notices change in one transaction, so each is told once. Locks the alerts.
    """
    now = dbtime.database_now()
    alerts = grants.take_alerts(now)
    if not alerts:
        return 0
    managers = User.objects.filter(roles__contains=[Role.MANAGER], is_active=True)
    Notice.objects.bulk_create(
        Notice(
            user=manager,
            event_key=EVENT.format(kind=alert.kind),
            params={"staff_number": alert.user.staff_number, "case_ref": alert.case_ref},
            created_at=now,
        )
        for manager in managers
        for alert in alerts
    )
    return len(alerts)
