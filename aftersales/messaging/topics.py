"""The registry that upper apps fill in ``AppConfig.ready``: who expands and renders what.

Messaging has never heard of tickets. An app registers how one of its events becomes drafts, which
values a template needs, which page a link opens; the relay calls what is registered.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from aftersales.messaging.drafts import (
    ContactRef,
    Draft,
    MailDraft,
    NoticeDraft,
    Recipient,
    SmsDraft,
    UserRef,
    WebhookDraft,
)

if TYPE_CHECKING:
    from aftersales.messaging.models import Outbox

__all__ = [
    "ContactRef",
    "Draft",
    "MailDraft",
    "NoticeDraft",
    "Postponed",
    "Recipient",
    "Refused",
    "Skipped",
    "SmsDraft",
    "TryLater",
    "UserRef",
    "WebhookDraft",
    "register",
    "register_link",
    "register_notice",
    "register_template",
]

Expand = Callable[[Mapping[str, Any]], Iterable[Draft]]
Deliver = Callable[["Outbox"], None]
Context = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Session = Callable[[], AbstractContextManager[object]]


class Outcome(Exception):
    """How a delivery ended when it did not succeed; ``code`` is stored, so it quotes nobody."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class TryLater(Outcome):
    """It failed for now. ``after`` is the least wait the other side asked for; ``stop`` says that
    the whole channel is down, so that the next rows do not use up a try on it."""

    def __init__(self, code: str, *, after: timedelta | None = None, stop: bool = False) -> None:
        super().__init__(code)
        self.after = after
        self.stop = stop


class Refused(Outcome):
    """It will never succeed: a dead letter at once."""


class Skipped(Outcome):
    """There is nothing to send any more (no address, the matter is over); settled."""


class Postponed(Outcome):
    """Not yet, by our own rule; costs no try."""

    def __init__(self, code: str, until: datetime) -> None:
        super().__init__(code)
        self.until = until


@dataclass(frozen=True)
class Topic:
    """What the relay does with the rows of one topic: expand them, or deliver them."""

    name: str
    expand: Expand | None = None
    deliver: Deliver | None = None
    session: Session = nullcontext


_topics: dict[str, Topic] = {}
_contexts: dict[str, Context] = {}
_link_views: dict[str, str] = {}
_notice_templates: dict[str, str] = {}


def register(
    topic: str,
    *,
    expand: Expand | None = None,
    deliver: Deliver | None = None,
    session: Session = nullcontext,
) -> None:
    """``expand`` turns a payload into drafts, in the transaction that inserts them: it reads, and
    writes at most what its drafts name (a link). It raises Postponed where all of them shall wait.
    ``deliver`` sends one row outside any transaction; ``session`` is open around a run of them.

    Raises ValueError unless exactly one of the two is given.
    """
    if (expand is None) == (deliver is None):
        raise ValueError("A topic either expands or delivers.")
    _topics[topic] = Topic(topic, expand, deliver, session)


def register_template(name: str, context: Context) -> None:
    """``context(params)`` gives what the template "app/name" needs; the one place for names and
    addresses. It may raise Skipped when there is nothing to say any more."""
    _contexts[name] = context


def register_link(purpose: str, view: str) -> None:
    """Links of ``purpose`` open the view of that name, which takes the token."""
    _link_views[purpose] = view


def register_notice(event_key: str, template: str) -> None:
    """The one-line text template of a notice; it gets the notice's params."""
    _notice_templates[event_key] = template


def find(topic: str) -> Topic:
    """Raises KeyError for a topic that nobody registered."""
    return _topics[topic]


def fan_out() -> list[str]:
    """The topics that are expanded."""
    return [topic.name for topic in _topics.values() if topic.expand]


def context_of(template: str) -> Context:
    """Raises KeyError for a template that nobody registered."""
    return _contexts[template]


def link_view(purpose: str) -> str:
    """Raises KeyError for a purpose that nobody registered."""
    return _link_views[purpose]


def notice_template(event_key: str) -> str:
    """The notice's own template, or the plain one that shows the key."""
    return _notice_templates.get(event_key, "messaging/notices/plain.txt")
