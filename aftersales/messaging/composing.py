"""What one outbox row becomes at the moment it is sent: whom it reaches, and in which words.

The only place in messaging where an address or a name is in clear; nothing here is stored.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import translation

from aftersales.accounts.models import User
from aftersales.customers.models import Contact
from aftersales.messaging import links, topics
from aftersales.messaging.drafts import UserRef, recipient_of
from aftersales.messaging.models import Outbox


@dataclass(frozen=True)
class Reached:
    """Where a recipient is reached, and the language they read."""

    email: str
    phone: str
    language: str


def reach(recipient: str) -> Reached:
    """Looks up "user:7" or "contact:5". Raises Skipped when nobody is there any more."""
    try:
        reference = recipient_of(recipient)
    except ValueError:
        raise topics.Refused("NoRecipient") from None
    if isinstance(reference, UserRef):
        user = User.objects.filter(id=reference.id, is_active=True).first()
        if user is None:
            raise topics.Skipped("RecipientGone")
        return Reached(email=user.email, phone="", language=user.language)
    contact = Contact.objects.filter(id=reference.id).first()
    if contact is None:
        raise topics.Skipped("RecipientGone")
    return Reached(
        email=contact.email.clear() if contact.email else "",
        phone=contact.phone.clear() if contact.phone else "",
        language=contact.language,
    )


@contextmanager
def in_words(row: Outbox, language: str) -> Iterator[Mapping[str, Any]]:
    """The template's values, with the reader's language active inside the block."""
    with translation.override(language):
        params = {**row.payload["params"], "recipient": row.recipient}
        values = dict(topics.context_of(row.payload["template"])(params))
        values["base_url"] = settings.BASE_URL
        link_id = row.payload.get("link")
        if link_id is not None:
            values["link"] = links.url_of(link_id)
        yield values
