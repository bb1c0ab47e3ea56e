"""Marked personal values go through everything that can go wrong; none may stay behind."""

import pytest
from django.db import connection
from pytest_django import Settings

from aftersales.messaging import outbox, relay, topics, webhook_relay
from aftersales.messaging.models import Outbox
from tests.messaging.rows import make_call, make_contact, make_endpoint, make_mail
from tests.messaging.stubs import MailServer

CANARIES = ["金丝雀", "canary.q7@example.com", "13912345678", "canary-secret-q7", "canary-path-q7"]

pytestmark = pytest.mark.django_db(transaction=True)


class Blabbing:
    """A carrier whose errors quote everything."""

    def send(self, *, to: str, text: str, message_id: str) -> None:
        raise RuntimeError(f"{to}: {text}")


def stored() -> str:
    """Everything that messaging has in the database, as text."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT row_to_json(t)::text FROM messaging_outbox AS t"
            " UNION ALL SELECT row_to_json(t)::text FROM messaging_notice AS t"
            " UNION ALL SELECT row_to_json(t)::text FROM messaging_link AS t"
            " UNION ALL SELECT row_to_json(t)::text FROM messaging_code AS t"
        )
        return "\n".join(row[0] for row in cursor.fetchall())


def test_it_leaves_nothing_personal_in_rows_or_logs(
    mail_template: str,
    mail_server: MailServer,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings.SMS_ADAPTER = "tests.messaging.test_canary.Blabbing"
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "user", "canary-secret-q7"
    contact = make_contact(name="金丝雀", email="canary.q7@example.com", phone="13912345678")
    topics.register_template("probe/hello", context=lambda params: {"name": "金丝雀"})

    def explode(params: object) -> dict[str, str]:
        raise RuntimeError("金丝雀 canary.q7@example.com 13912345678")

    topics.register_template("probe/broken", context=explode)
    make_mail(contact, "broken", template="probe/broken")
    endpoint = make_endpoint("https://127.0.0.1/canary-path-q7")
    make_call(endpoint, "call")
    payload = {"template": "probe/hello", "params": {}}
    outbox.write("sms", "sms", payload, recipient=f"contact:{contact.id}")
    for mood in ("ok", "451", "550", "554", "drop", "hang"):
        mail_server.mood = mood
        make_mail(contact, mood)
        relay.relay_deliveries("mail")
    relay.relay_deliveries("default")
    webhook_relay.relay_webhooks()

    assert Outbox.objects.exclude(last_error="").count() >= 7
    said = "".join(capsys.readouterr())
    for canary in CANARIES:
        assert canary not in stored()
        assert canary not in caplog.text
        assert canary not in said
