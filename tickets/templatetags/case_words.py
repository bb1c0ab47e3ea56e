"""``{% load case_words %}``: moments, spans and codes of a case in the reader's words."""

from datetime import datetime, time, timedelta
from typing import Any

from django import template
from django.utils import formats, timezone
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from tickets import sla, states
from tickets.models.clock import (
    ACKNOWLEDGE,
    CONFIRMATION,
    EXPLANATION,
    RESOLUTION,
    RESPONSE,
    SIGNATURE,
)

register = template.Library()


@register.filter
def moment(value: datetime | str | None) -> str:
    """Day and time in the firm's zone; also of a moment that comes as text, as notices keep it.

    Midnight is the end of its day: "by 25 November, 24:00" is not misread as "by the 26th".
    """
    if not value:
        return ""
    at = timezone.localtime(datetime.fromisoformat(value) if isinstance(value, str) else value)
    # Translators: date and time in Django's date format, for sentences such as "due on ..."
    wanted = _("D j M Y, H:i")
    if at.time() == time.min:
        at, wanted = at - timedelta(seconds=1), wanted.replace("H:i", "24:00")
    return formats.date_format(at, wanted)


@register.filter
def short_day(value: datetime) -> str:
    """The day alone, where the year is plain."""
    # Translators: a date in Django's date format
    return formats.date_format(timezone.localtime(value), _("j M"))


@register.filter
def span(budget: sla.Budget) -> str:
    """A promised length: "30 minutes", "4 service hours", "5 working days"."""
    if budget.basis in (sla.Basis.WORKING_DAYS, sla.Basis.CIVIL_DAYS):
        number = budget.amount
        if budget.basis == sla.Basis.WORKING_DAYS:
            return ngettext("%d working day", "%d working days", number) % number
        return ngettext("%d day", "%d days", number) % number
    hours, rest = divmod(budget.amount, 3600)
    number = budget.amount // 60 if rest else hours
    if budget.basis == sla.Basis.WORKING:
        if rest:
            return ngettext("%d service minute", "%d service minutes", number) % number
        return ngettext("%d service hour", "%d service hours", number) % number
    if rest:
        return ngettext("%d minute", "%d minutes", number) % number
    return ngettext("%d hour", "%d hours", number) % number


@register.filter
def promise_name(kind: str) -> str:
    """What a clock promises, inside a sentence; the kind itself for one of an upper app."""
    names = {
        ACKNOWLEDGE: _("the acknowledgement"),
        RESPONSE: _("the first response"),
        RESOLUTION: _("the solution"),
        CONFIRMATION: _("the customer's confirmation"),
        EXPLANATION: _("the overdue explanation"),
        SIGNATURE: _("the signature of the explanation"),
    }
    return names.get(kind, kind)


@register.filter
def level_name(level: str) -> str:
    return str(states.Level(level).label)


@register.filter
def own_name(row: Any) -> str:
    """The name of a data row that carries both languages."""
    name: str = row.name_zh if (get_language() or "").startswith("zh") else row.name_en
    return name


@register.filter
def zone_name(value: datetime) -> str:
    """The zone in which ``moment`` tells the time, with its distance from UTC at that moment."""
    offset = timezone.localtime(value).strftime("%z")
    return f"{timezone.get_current_timezone_name()} (UTC{offset[:3]}:{offset[3:]})"
