"""Moments, spans and codes in the reader's words."""

from datetime import UTC, datetime

import pytest
from django.utils import translation

from tests.tickets.conftest import at
from tickets import sla
from tickets.templatetags import case_words


@pytest.mark.parametrize(
    ("moment", "english", "chinese"),
    [
        (at("2026-11-20 15:30"), "Fri 20 Nov 2026, 15:30", "2026年11月20日 星期五 15:30"),
        (datetime(2026, 11, 20, 16, 30, tzinfo=UTC), "Sat 21 Nov 2026, 00:30", "00:30"),
        ("2026-11-20T07:30:00+00:00", "Fri 20 Nov 2026, 15:30", "15:30"),
        (at("2026-11-28 00:00"), "Fri 27 Nov 2026, 24:00", "2026年11月27日 星期五 24:00"),
        (None, "", ""),
    ],
)
def test_it_tells_a_moment_in_the_firms_zone_and_midnight_as_the_days_end(
    moment: datetime | str | None, english: str, chinese: str
) -> None:
    with translation.override("en"):
        assert case_words.moment(moment) == english
    with translation.override("zh-hans"):
        assert case_words.moment(moment).endswith(chinese)


@pytest.mark.parametrize(
    ("basis", "amount", "rule", "english", "chinese"),
    [
        ("elapsed", 1800, "", "30 minutes", "30 分钟"),
        ("elapsed", 60, "", "1 minute", "1 分钟"),
        ("elapsed", 7200, "", "2 hours", "2 小时"),
        ("elapsed", 5400, "", "90 minutes", "90 分钟"),
        ("working", 600, "", "10 service minutes", "10 个工作分钟"),
        ("working", 14400, "", "4 service hours", "4 个工作小时"),
        ("working_days", 5, "end_of_day", "5 working days", "5 个工作日"),
        ("civil_days", 1, "none", "1 day", "1 天"),
    ],
)
def test_it_tells_a_promised_length_in_its_own_unit(
    basis: str, amount: int, rule: str, english: str, chinese: str
) -> None:
    budget = sla.Budget(sla.Basis(basis), amount, rule)
    with translation.override("en"):
        assert case_words.span(budget) == english
    with translation.override("zh-hans"):
        assert case_words.span(budget) == chinese


def test_it_names_promises_and_keeps_the_key_of_one_it_does_not_know() -> None:
    with translation.override("en"):
        assert case_words.promise_name("response") == "the first response"
        assert case_words.promise_name("part_dispatch") == "part_dispatch"


def test_it_names_the_zone_with_its_distance_from_utc() -> None:
    assert case_words.zone_name(at("2026-11-20 10:00")) == "Asia/Shanghai (UTC+08:00)"
