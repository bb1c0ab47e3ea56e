"""Counting tries: before the check, one after another, temporary."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from aftersales.accounts import limits, tasks
from aftersales.accounts.models import AttemptLimit
from aftersales.common import dbtime, errors

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
THREE = limits.Limit("test", 3, timedelta(minutes=15))


@pytest.mark.django_db
class TestTake:
    def test_it_allows_as_many_as_the_limit_says(self) -> None:
        with dbtime.at(START):
            assert [limits.take(THREE, "a") for _ in range(5)] == [0, 0, 0, 900, 900]

    def test_it_counts_each_key_and_scope_apart(self) -> None:
        other = limits.Limit("other", 1, timedelta(minutes=15))
        for _ in range(4):
            limits.take(THREE, "a")
        assert limits.take(THREE, "b") == 0
        assert limits.take(other, "a") == 0

    @pytest.mark.parametrize(
        ("seconds", "wait"), [(1, 899), (899, 1), (899.5, 1), (900, 0), (901, 0)]
    )
    def test_it_tells_the_seconds_that_are_left(self, seconds: float, wait: int) -> None:
        with dbtime.at(START):
            for _ in range(3):
                limits.take(THREE, "a")
        with dbtime.at(START + timedelta(seconds=seconds)):
            assert limits.take(THREE, "a") == wait

    def test_it_does_not_lengthen_the_window_by_refused_tries(self) -> None:
        for minute in range(15):
            with dbtime.at(START + timedelta(minutes=minute)):
                limits.take(THREE, "a")
        with dbtime.at(START + timedelta(minutes=15)):
            assert limits.take(THREE, "a") == 0

    def test_it_gives_back_a_try_that_was_right(self) -> None:
        for _ in range(9):
            limits.take(THREE, "a")
            limits.give_back(THREE, "a")
        assert limits.take(THREE, "a") == 0

    def test_it_never_counts_below_nothing(self) -> None:
        limits.take(THREE, "a")
        for _ in range(3):
            limits.give_back(THREE, "a")
        assert AttemptLimit.objects.get().count == 0

    def test_it_is_swept_out_after_its_end(self) -> None:
        with dbtime.at(START):
            limits.take(THREE, "a")
        with dbtime.at(START + timedelta(minutes=15)):
            tasks.clean_accounts()
            assert AttemptLimit.objects.exists()
        with dbtime.at(START + timedelta(minutes=15, seconds=1)):
            tasks.clean_accounts()
            assert not AttemptLimit.objects.exists()


@pytest.mark.parametrize(
    ("typed", "same"),
    [
        (" Wang ", "wang"),
        ("WANG", "wang"),
        ("\uff37\uff21\uff2e\uff27", "wang"),
        ("Straße", "strasse"),
    ],
)
def test_it_counts_spellings_of_one_name_together(typed: str, same: str) -> None:
    assert limits.normal(typed) == limits.normal(same)


@pytest.mark.django_db
def test_a_stricter_limit_of_the_same_scope_gives_no_tries_back() -> None:
    for _ in range(6):
        limits.take(limits.SIGN_IN_PAIR, "wang")
    assert limits.take(limits.SIGN_IN_PRESSED, "wang") > 0
    assert limits.take(limits.SIGN_IN_PAIR, "wang") > 0


@pytest.mark.django_db(transaction=True)
def test_it_lets_five_of_twenty_tries_at_once_through() -> None:
    start = threading.Barrier(20)

    def attempt(_number: int) -> bool:
        start.wait(timeout=20)
        try:
            limits.SignInTry.begin("wang", "203.0.113.7")
        except errors.TooMany:
            return False
        else:
            return True
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=20) as pool:
        assert sum(pool.map(attempt, range(20))) == 5
