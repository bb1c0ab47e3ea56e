"""Short messages, through one adapter: the one named by SMS_ADAPTER."""

import json
import os
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from aftersales.messaging import composing, texts, topics
from aftersales.messaging.models import Outbox


class SmsAdapter(Protocol):
    """What a carrier's adapter must offer; public-account messages take the same form."""

    def send(self, *, to: str, text: str, message_id: str) -> None:
        """Hands one message over, or raises topics.TryLater or topics.Refused.

        ``message_id`` is the same on every try: pass it on where the carrier deduplicates by it.
        """


class FileAdapter:
    """Appends each message as one line of JSON to a file that only this user may read."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory or settings.SMS_DIRECTORY

    def send(self, *, to: str, text: str, message_id: str) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = json.dumps({"to": to, "text": text, "id": message_id}, ensure_ascii=False) + "\n"
        handle = os.open(
            self.directory / "sms.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode=0o600
        )
        try:
            # One write, so that two processes never mix their lines.
            os.write(handle, line.encode())
        finally:
            os.close(handle)


def adapter() -> SmsAdapter:
    """A fresh adapter of the configured class."""
    made: SmsAdapter = import_string(settings.SMS_ADAPTER)()
    return made


def deliver(row: Outbox) -> None:
    """Sends one short message in its recipient's language. Raises an Outcome when it did not."""
    reached = composing.reach(row.recipient)
    if not reached.phone:
        raise topics.Skipped("NoAddress")
    name = row.payload["template"]
    with composing.in_words(row, reached.language) as values:
        text = texts.one_line(texts.path(name, "sms"), values)
    adapter().send(to=reached.phone, text=text, message_id=row.message_id)
