import stat
from datetime import timedelta
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path

import pytest
from django.core import mail as django_mail
from django.db import connection
from pytest_django import Settings

from aftersales.accounts.models import Language
from aftersales.common import dbtime
from aftersales.messaging import links, outbox, relay, topics
from aftersales.messaging.models import Outbox
from tests.factories import make_user
from tests.messaging.conftest import Register
from tests.messaging.rows import NOW, make_contact, make_mail
from tests.messaging.stubs import MailServer, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("mail_template")]


def send() -> int:
    return relay.relay_deliveries("mail")


def body_of(message: Message) -> str:
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    return body.decode()


def test_it_sends_a_text_mail_in_the_contacts_language(mail_server: MailServer) -> None:
    make_mail(make_contact(language="en"))
    assert send() == 1
    (message,) = mail_server.messages
    assert str(make_header(decode_header(message["Subject"]))) == "en 王'<b>小明"
    assert message.get_content_type() == "text/plain"
    assert body_of(message) == "王'<b>小明 GZ1 \r\n"
    assert message["To"] == "ming@example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Id"] == "<after-sales.example.com>"
    assert Outbox.objects.get().sent_at is not None


def test_it_writes_to_staff_in_their_own_language(mail_server: MailServer) -> None:
    user = make_user(language=Language.CHINESE)
    payload = {"template": "probe/hello", "params": {}}
    outbox.write("mail", "k", payload, recipient=f"user:{user.id}")
    send()
    (message,) = mail_server.messages
    assert str(make_header(decode_header(message["Subject"]))).startswith("zh-hans")
    assert message["To"] == user.email


def test_it_sends_outside_any_transaction(mail_server: MailServer, register: Register) -> None:
    states: list[bool] = []

    def look(params: object) -> dict[str, object]:
        states.append(connection.in_atomic_block)
        return {}

    topics.register_template("probe/hello", context=look)
    make_mail(make_contact())
    send()
    assert states == [False]


def test_it_keeps_the_message_id_on_every_try(mail_server: MailServer) -> None:
    row = make_mail(make_contact())
    mail_server.before_answer = lambda: 1 / 0  # taken, and gone without a word
    send()
    mail_server.before_answer = lambda: None
    Outbox.objects.update(available_at=NOW)
    send()
    assert mail_server.message_ids() == [f"<{row.message_id}@example.com>"] * 2


def test_it_uses_one_connection_for_a_run(mail_server: MailServer) -> None:
    contact = make_contact()
    for n in range(5):
        make_mail(contact, f"k{n}")
    send()
    assert (len(mail_server.messages), mail_server.connections) == (5, 1)


@pytest.mark.parametrize(
    ("mood", "error", "dead"),
    [
        ("451", "SMTPRecipientsRefused 451", False),
        ("550", "SMTPRecipientsRefused 550", True),
        ("554", "SMTPDataError 554", True),
        ("421", "SMTPSenderRefused 421", False),
        ("drop", "SMTPServerDisconnected", False),
        ("hang", "SMTPServerDisconnected", False),
    ],
)
def test_it_stores_how_a_try_failed_and_whom_it_quotes_never(
    mail_server: MailServer, mood: str, error: str, dead: bool, caplog: pytest.LogCaptureFixture
) -> None:
    mail_server.mood = mood
    make_mail(make_contact())
    send()
    row = Outbox.objects.get()
    assert row.last_error == error
    assert (row.sent_at, row.dead_at is not None) == (None, dead)
    assert "example.com" not in caplog.text


def test_it_tries_again_once_the_server_is_back(mail_server: MailServer) -> None:
    mail_server.mood = "451"
    make_mail(make_contact())
    with dbtime.at(NOW):
        Outbox.objects.update(available_at=NOW)
        send()
    mail_server.mood = "ok"
    with dbtime.at(NOW + timedelta(seconds=3)):
        assert send() == 0
    with dbtime.at(NOW + timedelta(seconds=7)):
        assert send() == 1
    assert len(mail_server.messages) == 1


def test_it_spends_one_try_a_run_while_the_server_is_away(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    contact = make_contact()
    for n in range(3):
        make_mail(contact, f"k{n}")
    send()
    assert sorted(Outbox.objects.values_list("attempts", flat=True)) == [0, 0, 1]


def test_it_goes_on_to_the_next_mail_after_a_refused_one(mail_server: MailServer) -> None:
    mail_server.mood = "550"
    contact = make_contact()
    make_mail(contact, "a")
    make_mail(contact, "b")
    assert send() == 2


@pytest.mark.parametrize("address", ["a@b.c\r\nBcc: victim@example.com", "a@b.c\nX: y"])
def test_it_never_lets_an_address_start_another_header(
    address: str, mail_server: MailServer
) -> None:
    make_mail(make_contact(email=address))
    send()
    assert mail_server.messages == []
    assert Outbox.objects.get().dead_at is not None


def test_it_keeps_the_subject_on_one_line(mail_server: MailServer) -> None:
    topics.register_template(
        "probe/hello", context=lambda params: {"subject": "x\r\nBcc: victim@example.com"}
    )
    make_mail(make_contact())
    send()
    (message,) = mail_server.messages
    assert message["Bcc"] is None
    assert mail_server.recipients == ["rcpt TO:<ming@example.com>"]


def test_it_settles_a_mail_to_who_has_no_address(mail_server: MailServer) -> None:
    make_mail(make_contact(email=None))
    outbox.write("mail", "gone", {"template": "x/y", "params": {}}, recipient="contact:999999")
    outbox.write("mail", "whom", {"template": "x/y", "params": {}}, recipient="somebody:1")
    inactive = make_user(is_active=False)
    outbox.write("mail", "off", {"template": "x/y", "params": {}}, recipient=f"user:{inactive.id}")
    assert send() == 4
    assert sorted(Outbox.objects.values_list("last_error", flat=True)) == [
        "NoAddress",
        "NoRecipient",
        "RecipientGone",
        "RecipientGone",
    ]
    assert not Outbox.objects.pending().exists()


def test_it_retries_when_our_own_template_fails_and_quotes_nothing(
    mail_server: MailServer, register: Register, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(params: object) -> dict[str, object]:
        raise LookupError("王小明 ming@example.com")

    topics.register_template("probe/hello", context=fail)
    make_mail(make_contact())
    send()
    assert Outbox.objects.get().last_error == "LookupError"
    assert "ming@example.com" not in caplog.text
    assert "王小明" not in caplog.text


def test_it_carries_the_link_of_the_draft(mail_server: MailServer, settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.messaging.urls"
    topics.register_link("follow_up", "probe-link")
    link = links.create("follow_up", "ticket:1", expires_at=NOW + timedelta(days=1), now=NOW)
    make_mail(make_contact(), link=link.id)
    send()
    body = body_of(mail_server.messages[0])
    assert f"{settings.BASE_URL}/c/{links.token_of(link.id)}/" in body
    assert links.resolve(links.token_of(link.id), "follow_up", NOW) == "ticket:1"


def test_it_writes_mails_to_a_folder_of_our_own_when_the_address_says_so(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "local" / "mail"
    settings.EMAIL_BACKEND = "aftersales.messaging.mailfile.EmailBackend"
    settings.EMAIL_FILE_PATH = str(folder)
    make_mail(make_contact())
    send()
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert b"To: ming@example.com" in file.read_bytes()


def test_it_holds_back_a_flood_to_one_address_and_costs_no_try(
    mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aftersales.messaging.limits.MAILS_PER_HOUR", 2)
    # Two contacts, one address.
    make_mail(make_contact(), "a")
    for key in ("b", "c"):
        make_mail(make_contact(), key)
    send()
    held = Outbox.objects.get(sent_at__isnull=True)
    assert (len(mail_server.messages), held.attempts, held.last_error) == (2, 0, "AddressFlooded")
    with dbtime.at(dbtime.database_now() + timedelta(minutes=61)):
        send()
    assert len(mail_server.messages) == 3


def test_it_sends_through_djangos_test_outbox_too(settings: Settings) -> None:
    make_mail(make_contact())
    send()
    assert len(django_mail.outbox) == 1
