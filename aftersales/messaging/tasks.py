"""Celery's entry points. Each drains rows: a lost call costs a second, a doubled one nothing."""

from celery import shared_task

from aftersales.messaging import alerts, cleaning, relay, webhook_relay


@shared_task
def relay_fan_out() -> int:
    """Expands events into messages. Twice: harmless. Never: nothing goes out; health tells."""
    return relay.relay_fan_out()


@shared_task
def relay_mail() -> int:
    """Sends mails. Twice: rows are leased. Never: mails wait; health tells."""
    return relay.relay_deliveries("mail")


@shared_task
def relay_sms() -> int:
    """Sends short messages. Twice: rows are leased. Never: codes wait; health tells."""
    return relay.relay_deliveries("default")


@shared_task
def relay_webhooks() -> int:
    """Calls endpoints. Twice: the second returns at once. Never: calls wait; health tells."""
    return webhook_relay.relay_webhooks()


@shared_task
def tell_managers() -> int:
    """Tells managers of unusual looks at personal data. Twice: told once. Never: health tells."""
    return alerts.tell_managers()


@shared_task
def clean_messages() -> int:
    """Removes what is long done. Twice or never: only space."""
    return cleaning.clean_messages()
