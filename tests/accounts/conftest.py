from collections.abc import Callable

import pytest
from django.core import mail
from django.core.mail import EmailMessage

from aftersales.accounts import mails


@pytest.fixture
def sent_mails() -> Callable[[], list[EmailMessage]]:
    """The mails so far, after those that are still being sent aside."""

    def read() -> list[EmailMessage]:
        mails.EXECUTOR.submit(lambda: None).result(timeout=10)
        return list(mail.outbox)

    return read
