import json
import stat
from pathlib import Path

import pytest
from pytest_django import Settings

from aftersales.messaging import outbox, relay, sms, topics
from aftersales.messaging.models import Outbox
from tests.factories import make_user
from tests.messaging.rows import make_contact

pytestmark = pytest.mark.django_db


def write(recipient: str) -> Outbox:
    payload = {"template": "probe/hello", "params": {"number": "GZ1"}}
    return outbox.write("sms", recipient, payload, recipient=recipient)


def test_it_appends_one_line_of_json_that_only_we_may_read(
    mail_template: str, settings: Settings, tmp_path: Path
) -> None:
    settings.SMS_DIRECTORY = tmp_path / "sms"
    row = write(f"contact:{make_contact().id}")
    write(f"contact:{make_contact(phone='+86 139 0013 9000').id}")
    assert relay.relay_deliveries("default") == 2
    file = tmp_path / "sms" / "sms.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines[0] == {"to": "13800138000", "text": "王'<b>小明 GZ1", "id": row.message_id}
    assert lines[1]["to"] == "+86 139 0013 9000"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_it_settles_a_message_to_who_has_no_phone(mail_template: str) -> None:
    write(f"contact:{make_contact(phone=None).id}")
    write(f"user:{make_user().id}")
    relay.relay_deliveries("default")
    assert list(Outbox.objects.values_list("last_error", flat=True)) == ["NoAddress"] * 2


class Broken:
    """A carrier that is away."""

    def send(self, *, to: str, text: str, message_id: str) -> None:
        raise topics.TryLater("CarrierAway")


def test_it_uses_the_adapter_that_the_settings_name(mail_template: str, settings: Settings) -> None:
    settings.SMS_ADAPTER = "tests.messaging.test_sms.Broken"
    assert isinstance(sms.adapter(), Broken)
    write(f"contact:{make_contact().id}")
    relay.relay_deliveries("default")
    row = Outbox.objects.get()
    assert (row.last_error, row.attempts, row.sent_at) == ("CarrierAway", 1, None)
