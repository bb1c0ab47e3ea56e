"""China's public holidays and make-up working days as rows of the firm's calendar.

For the years that the State Council has announced, its own dates (2025: notice of 2024-11-12;
2026: notice of 2025-11-04). Later years come from the ``holidays`` package, which knows the
statutory days and no make-up days yet: they are provisional, and staff correct them.
"""

from collections.abc import Iterator
from datetime import date, timedelta

import holidays

from tickets.models import CalendarDate

LAST_YEAR = 2028
SETTLED_UNTIL = date(2026, 12, 31)

NEW_YEAR = ("元旦", "New Year's Day")
SPRING = ("春节", "Spring Festival")
QINGMING = ("清明节", "Tomb-Sweeping Day")
LABOUR = ("劳动节", "Labour Day")
DRAGON_BOAT = ("端午节", "Dragon Boat Festival")
MID_AUTUMN = ("中秋节", "Mid-Autumn Festival")
NATIONAL = ("国庆节", "National Day")

ANNOUNCED = [
    (date(2025, 1, 1), date(2025, 1, 1), NEW_YEAR),
    (date(2025, 1, 28), date(2025, 2, 4), SPRING),
    (date(2025, 4, 4), date(2025, 4, 6), QINGMING),
    (date(2025, 5, 1), date(2025, 5, 5), LABOUR),
    (date(2025, 5, 31), date(2025, 6, 2), DRAGON_BOAT),
    (date(2025, 10, 1), date(2025, 10, 8), NATIONAL),
    (date(2026, 1, 1), date(2026, 1, 3), NEW_YEAR),
    (date(2026, 2, 15), date(2026, 2, 23), SPRING),
    (date(2026, 4, 4), date(2026, 4, 6), QINGMING),
    (date(2026, 5, 1), date(2026, 5, 5), LABOUR),
    (date(2026, 6, 19), date(2026, 6, 21), DRAGON_BOAT),
    (date(2026, 9, 25), date(2026, 9, 27), MID_AUTUMN),
    (date(2026, 10, 1), date(2026, 10, 7), NATIONAL),
]
MAKE_UP_DAYS = [
    date(2025, 1, 26),
    date(2025, 2, 8),
    date(2025, 4, 27),
    date(2025, 9, 28),
    date(2025, 10, 11),
    date(2026, 1, 4),
    date(2026, 2, 14),
    date(2026, 2, 28),
    date(2026, 5, 9),
    date(2026, 9, 20),
    date(2026, 10, 10),
]


def dates(windows: list[list[str]]) -> list[CalendarDate]:
    """Unsaved rows: holidays closed, make-up days with the ``windows`` of a working day."""
    closed = [
        CalendarDate(
            on=day, kind=CalendarDate.Kind.HOLIDAY, windows=[], name_zh=name_zh, name_en=name_en
        )
        for day, (name_zh, name_en) in [*_announced(), *_provisional()]
    ]
    made_up = [
        CalendarDate(
            on=day,
            kind=CalendarDate.Kind.MAKE_UP,
            windows=windows,
            name_zh="调休上班",
            name_en="Make-up working day",
        )
        for day in MAKE_UP_DAYS
    ]
    return closed + made_up


def _announced() -> Iterator[tuple[date, tuple[str, str]]]:
    for first, last, names in ANNOUNCED:
        for offset in range((last - first).days + 1):
            yield first + timedelta(days=offset), names


def _provisional() -> Iterator[tuple[date, tuple[str, str]]]:
    years = range(SETTLED_UNTIL.year + 1, LAST_YEAR + 1)
    chinese = holidays.country_holidays("CN", years=years, language="zh_CN")
    english = holidays.country_holidays("CN", years=years, language="en_US")
    for day, name in sorted(chinese.items()):
        yield day, (name, english.get(day, name))
