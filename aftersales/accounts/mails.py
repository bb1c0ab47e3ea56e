"""Mails about one's own account. They are sent aside: whether there was somebody to write to
shows neither in how long the answer takes nor in a mail server that is down.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import translation

from aftersales.accounts.models import User

logger = logging.getLogger(__name__)

# One thread: mails leave in order, and a hanging server holds only them.
EXECUTOR = ThreadPoolExecutor(max_workers=1, thread_name_prefix="account-mail")


def send(template_prefix: str, user: User, context: dict[str, Any]) -> None:
    """Render ``<prefix>_subject.txt`` and ``<prefix>_message.txt`` in the reader's language."""
    context = {**context, "user": user, "portal_url": settings.BASE_URL}
    with translation.override(user.language):
        subject = " ".join(render_to_string(f"{template_prefix}_subject.txt", context).split())
        text = render_to_string(f"{template_prefix}_message.txt", context).strip() + "\n"
    EXECUTOR.submit(_send, EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, [user.email]))


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except (SMTPException, OSError) as error:
        # No address and no text: logs hold nothing personal. The reader can ask again.
        logger.warning("account_mail_not_sent", extra={"error": type(error).__name__})
