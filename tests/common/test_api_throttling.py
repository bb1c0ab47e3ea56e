"""Throttles: per client over all its keys, per address without one, open when Redis is away."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
import redis
import time_machine
from django.conf import settings
from django.test import Client, override_settings

from aftersales.accounts.models import ApiClient
from aftersales.common.api import throttling
from tests.factories import make_key, make_shop_client

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 3, 2, 12, 0, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    # A part of the cache for each test: the minute is the same in all of them.
    caches = {"default": settings.CACHES["default"] | {"KEY_PREFIX": uuid4().hex}}
    with (
        override_settings(API_REQUESTS_PER_MINUTE=3, API_ANONYMOUS_PER_MINUTE=2, CACHES=caches),
        patch.object(throttling, "_asleep_until", 0.0),
        time_machine.travel(MOMENT, tick=False),
    ):
        yield


def ask(key: str | None, address: str = "192.0.2.1", path: str = "/api/v1/me/") -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Client().get(path, headers=headers, REMOTE_ADDR=address)


def codes(key: str | None, times: int, **extra: Any) -> list[int]:
    return [ask(key, **extra).status_code for _ in range(times)]


def test_it_gives_a_client_its_share_over_all_of_its_keys() -> None:
    client: ApiClient = make_shop_client()
    first, second = make_key(client), make_key(client)
    assert codes(first, 2) == [200, 200]
    assert codes(second, 2) == [200, 429]
    assert codes(make_key(make_shop_client()), 1) == [200]


def test_it_says_when_the_minute_ends() -> None:
    key = make_key(make_shop_client())
    codes(key, 3)
    response = ask(key)
    assert (response.status_code, response["Retry-After"]) == (429, "45")
    assert response.json()["code"] == "too_many"


def test_it_opens_again_with_the_next_minute() -> None:
    key = make_key(make_shop_client())
    assert codes(key, 4)[-1] == 429
    with time_machine.travel(datetime(2026, 3, 2, 12, 1, 0, tzinfo=UTC), tick=False):
        assert codes(key, 1) == [200]


def test_it_counts_calls_without_a_key_by_address() -> None:
    assert codes(None, 3) == [401, 401, 429]
    assert codes(None, 1, address="192.0.2.2") == [401]


def test_it_counts_an_ipv6_network_as_one() -> None:
    answers = [ask(None, address=f"2001:db8::{number}").status_code for number in (1, 2, 3)]
    assert answers == [401, 401, 429]


@pytest.mark.parametrize(
    "error",
    [redis.ConnectionError(), redis.TimeoutError(), ConnectionRefusedError(), TimeoutError()],
)
def test_it_lets_everybody_through_when_redis_is_away(error: Exception) -> None:
    key = make_key(make_shop_client())
    with patch("django.core.cache.backends.redis.RedisCache.add", side_effect=error) as add:
        assert codes(key, 6) == [200] * 6
    # After the first failure Redis is left alone for a while.
    assert add.call_count == 1


def test_it_lets_through_when_redis_was_just_emptied() -> None:
    with patch("django.core.cache.backends.redis.RedisCache.incr", side_effect=ValueError):
        assert codes(make_key(make_shop_client()), 5) == [200] * 5
