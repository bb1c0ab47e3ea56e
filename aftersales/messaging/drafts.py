"""What an expansion asks for: one message to one recipient, in ids only.

Plain values; names and addresses are looked up when the message is sent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

# Keys, ids, numbers of cases, moments. No blank, no "@", nothing but ASCII: a name, an address or
# a sentence does not fit, so it cannot slip into the outbox.
_IDENTIFIER = re.compile(r"[\w.:+/-]{0,120}", re.ASCII)


class NotAnId(ValueError):
    """A payload holds text that is no id or key; it would store personal data in the outbox."""


def check_ids(value: object, path: str = "payload") -> None:
    """Raises NotAnId when ``value`` holds more than ids, keys, figures and flags."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            check_ids(key, f"{path} key")
            check_ids(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for inner in value:
            check_ids(inner, f"{path}[]")
    elif isinstance(value, str):
        if not _IDENTIFIER.fullmatch(value):
            raise NotAnId(path)
    elif not (value is None or isinstance(value, bool | int | float)):
        raise NotAnId(path)


@dataclass(frozen=True)
class UserRef:
    """A member of staff or of a provider."""

    id: int

    @property
    def key(self) -> str:
        return f"user:{self.id}"


@dataclass(frozen=True)
class ContactRef:
    """A customer's contact."""

    id: int

    @property
    def key(self) -> str:
        return f"contact:{self.id}"


Recipient = UserRef | ContactRef


def recipient_of(key: str) -> Recipient:
    """The reference behind "user:7" or "contact:5". Raises ValueError for anything else."""
    kind, _, number = key.partition(":")
    if kind == "user":
        return UserRef(int(number))
    if kind == "contact":
        return ContactRef(int(number))
    raise ValueError("not a recipient")


@dataclass(frozen=True)
class MailDraft:
    """One mail. ``key`` tells two apart that one expansion sends to one person by one template.

    ``at_most`` such messages an hour go to a contact's address, the rest is dropped: for automatic
    mail to an address that nobody has verified.
    """

    to: Recipient
    template: str
    params: Mapping[str, Any] = field(default_factory=dict)
    link_id: int | None = None
    at_most: int | None = None
    key: str = ""

    topic: ClassVar[str] = "mail"


@dataclass(frozen=True)
class SmsDraft:
    """One short message to the recipient's phone."""

    to: Recipient
    template: str
    params: Mapping[str, Any] = field(default_factory=dict)
    link_id: int | None = None
    at_most: int | None = None
    key: str = ""

    topic: ClassVar[str] = "sms"


@dataclass(frozen=True)
class NoticeDraft:
    """One line in a person's bell; a row, not a message."""

    user_id: int
    event_key: str
    params: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True)
class WebhookDraft:
    """One call of one endpoint: thin, so that whoever listens asks the API for details."""

    endpoint_id: int
    type: str
    data: Mapping[str, Any]
    at: datetime
    key: str = ""

    topic: ClassVar[str] = "webhook"


Draft = MailDraft | SmsDraft | NoticeDraft | WebhookDraft


@dataclass(frozen=True)
class OutboxValues:
    """The columns of the outbox row that carries a draft."""

    topic: str
    dedupe_key: str
    recipient: str
    payload: dict[str, Any]


def outbox_values(parent_id: int, draft: "MailDraft | SmsDraft | WebhookDraft") -> OutboxValues:
    """The row that an expanded row leaves behind for this draft. Raises NotAnId."""
    payload: dict[str, Any]
    if isinstance(draft, WebhookDraft):
        name, recipient = draft.type, f"endpoint:{draft.endpoint_id}"
        payload = {"type": draft.type, "at": draft.at.isoformat(), "data": dict(draft.data)}
    else:
        name, recipient = draft.template, draft.to.key
        payload = {"template": draft.template, "params": dict(draft.params)}
        if draft.link_id is not None:
            payload["link"] = draft.link_id
        if draft.at_most is not None:
            payload["limited"] = True
    check_ids(payload)
    key = ":".join(filter(None, [str(parent_id), draft.topic, recipient, name, draft.key]))
    return OutboxValues(draft.topic, key, recipient, payload)
