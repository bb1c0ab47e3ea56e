"""A realistic firm for a first look: people, goods, and three weeks of cases.

Everything is played through the workflow, in one transaction: it is there as a whole or not at
all. Passwords and keys are made for each installation and stand in one file, nowhere else.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from aftersales.common import dbtime, errors
from aftersales.messaging.models import Outbox
from aftersales.setup import profile
from aftersales.setup.demo import goods, people, playing
from aftersales.setup.demo.people import WayIn
from tickets.models import PolicyVersion, Ticket
from tickets.workflow.links import follow_up_url

PROFILE = "maker"
HISTORY = timedelta(weeks=4)
CUSTOMERS_CASE = "customer"  # the key in cases.toml of the case whose page the file links to


@dataclass(frozen=True)
class Loaded:
    """What a run did."""

    cases: int
    is_new: bool
    ended_early: list[str]


def load(path: Path) -> Loaded:
    """Make sure that the demo's data and the file with its ways in are there.

    A second run keeps both; without the file, or with one of another database, new passwords and
    keys are made. Raises Conflict for a database with other cases or a policy younger than them.
    """
    now = dbtime.database_now()
    with transaction.atomic():
        loaded = _data(now)
        way_in = _read(path)
        if way_in is None or not way_in.opens():
            way_in = WayIn.fresh()
        _write(path, way_in, now)
    return loaded


def _data(now: datetime) -> Loaded:
    if _customers_case().exists():
        return Loaded(cases=0, is_new=False, ended_early=[])
    if Ticket.objects.exists():
        raise errors.Conflict("There are cases already; the demo wants an empty database.")
    _publish_profile(now)
    people.make()
    goods.make(timezone.localtime(now).date())
    stories = playing.read_stories()
    playing.Play(now).perform(stories)
    _send_nothing_of_the_past(now)
    return Loaded(
        cases=Ticket.objects.count(),
        is_new=True,
        ended_early=[f"{story.name}: {story.ended_by}" for story in stories if story.ended_by],
    )


def _publish_profile(now: datetime) -> None:
    """Rules that were in force before the first case."""
    since = now - HISTORY
    if not PolicyVersion.objects.exists():
        profile.load(PROFILE, now=since)
    elif not PolicyVersion.objects.filter(in_force__contains=since).exists():
        raise errors.Conflict("The policy in force is younger than the demo's cases.")


def _send_nothing_of_the_past(now: datetime) -> None:
    """The letters of these weeks were never meant to go out; events that wait for their time do."""
    letters = Outbox.objects.pending().exclude(topic="tickets.event").filter(created_at__lte=now)
    letters.update(sent_at=F("created_at"), last_error="DemoHistory")


def _customers_case() -> Any:
    return Ticket.objects.filter(submission_id=playing.submission_id(CUSTOMERS_CASE))


def _read(path: Path) -> WayIn | None:
    """The ways in that the file holds; None without a file, or with one that is not whole."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return WayIn(facts["accounts"], facts["api"], facts["staff_keys"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        return None


def _write(path: Path, way_in: WayIn, now: datetime) -> None:
    """Replace the file in one step, readable by its owner only."""
    facts = {
        "url": settings.BASE_URL,
        "accounts": way_in.accounts,
        "customer": {"link": follow_up_url(_customers_case().get(), now)},
        "api": way_in.api,
        "staff_keys": way_in.staff_keys,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(facts, file, ensure_ascii=False, indent=2)
    partial.replace(path)
