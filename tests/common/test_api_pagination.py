"""Pages by key: nothing lost, nothing twice, at the cost of the page alone."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aftersales.accounts.models import ApiKey, AttemptLimit, Shop, User
from aftersales.common.api.pagination import MAX_LIMIT, Keyset, Position
from tests.factories import make_shop_client

pytestmark = pytest.mark.django_db

LIST = "/api/v1/shops/"


@pytest.fixture(autouse=True)
def _routes() -> Iterator[None]:
    with override_settings(ROOT_URLCONF="tests.common.urls"):
        yield


def make_shops(count: int) -> list[str]:
    """Names repeat, so that only the id tells some rows apart."""
    Shop.objects.bulk_create(
        Shop(code=f"c{number:03d}", name=f"n{number // 4:03d}") for number in range(count)
    )
    return [f"c{number:03d}" for number in reversed(range(count))]


def page(url: str) -> Any:
    response = Client().get(url)
    assert response.status_code == 200, response.content
    return response.json()


def codes(body: Any) -> list[str]:
    return [row["code"] for row in body["results"]]


@pytest.mark.parametrize(("count", "limit"), [(0, 3), (1, 3), (3, 3), (4, 3), (10, 3), (12, 1)])
def test_it_walks_forth_and_back_over_every_row_once(count: int, limit: int) -> None:
    expected = make_shops(count)
    body = page(f"{LIST}?limit={limit}")
    assert body["previous"] is None
    there = codes(body)
    pages = [codes(body)]
    while body["next"]:
        body = page(body["next"])
        there += codes(body)
        pages.append(codes(body))
    assert there == expected
    back = [codes(body)]
    while body["previous"]:
        body = page(body["previous"])
        back.append(codes(body))
    assert back[::-1] == pages


def test_it_is_not_moved_by_rows_that_come_and_go() -> None:
    expected = make_shops(9)
    first = page(f"{LIST}?limit=3")
    Shop.objects.filter(code=expected[2]).delete()
    Shop.objects.create(code="new", name="zzz")
    assert codes(page(first["next"])) == expected[3:6]


def test_it_links_by_header_as_by_body_and_from_our_own_address() -> None:
    make_shops(9)
    second = Client().get(page(f"{LIST}?limit=3")["next"])
    body = second.json()
    assert second["Link"] == (f'<{body["next"]}>; rel="next", <{body["previous"]}>; rel="previous"')
    assert body["next"].startswith("http://localhost:8000/api/v1/shops/?limit=3&cursor=")


def test_it_sends_no_link_for_a_single_page() -> None:
    assert "Link" not in Client().get(LIST)


def cursor_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["cursor"][0]


@pytest.fixture
def cursor() -> str:
    make_shops(9)
    return cursor_of(page(f"{LIST}?limit=3")["next"])


def ask(query: str, path: str = LIST) -> Any:
    return Client().get(f"{path}?{query}")


def test_it_opens_its_own_cursor(cursor: str) -> None:
    assert ask(f"cursor={cursor}").status_code == 200


@pytest.mark.parametrize("forged", ["x", "AAAA", "=", "%F0%9F%98%80", "a" * 5000, "."])
def test_it_refuses_a_forged_cursor(forged: str) -> None:
    response = ask(f"cursor={forged}")
    assert (response.status_code, response.json()["code"]) == (400, "bad_cursor")


def test_it_refuses_each_changed_byte(cursor: str) -> None:
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for index in range(len(raw)):
        raw[index] ^= 1
        changed = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        assert ask(f"cursor={changed}").status_code == 400
        raw[index] ^= 1


def test_it_refuses_a_cursor_of_another_filter(cursor: str) -> None:
    assert ask(f"cursor={cursor}&is_active=true").status_code == 400
    assert ask(f"cursor={cursor}&limit=7").status_code == 200


def test_it_shows_no_key_in_the_cursor(cursor: str) -> None:
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert b"n00" not in raw


def test_it_shows_no_more_rows_than_250() -> None:
    make_shops(MAX_LIMIT + 5)
    assert len(page(f"{LIST}?limit={10**6}")["results"]) == MAX_LIMIT == 250


def test_it_never_counts_and_reads_one_row_more_than_the_page() -> None:
    make_shops(60)
    deep = page(page(f"{LIST}?limit=20")["next"])["next"]
    for url in (f"{LIST}?limit=20", deep):
        with CaptureQueriesContext(connection) as queries:
            page(url)
        assert len(queries) == 1
        sql = queries[0]["sql"]
        assert "COUNT" not in sql
        assert "OFFSET" not in sql
        assert "LIMIT 21" in sql


def test_it_compares_the_keys_as_one_row_so_that_an_index_serves() -> None:
    make_shops(9)
    url = page(f"{LIST}?limit=3")["next"]
    with CaptureQueriesContext(connection) as queries:
        page(url)
    assert '("accounts_shop"."name", "accounts_shop"."id") < ' in queries[0]["sql"]


class TestKeyset:
    def test_it_refuses_a_way_that_no_index_serves(self) -> None:
        with pytest.raises(ValueError, match="one direction"):
            Keyset(Shop, ("-name", "id"))
        with pytest.raises(ValueError, match="first column"):
            Keyset(User, ("username", "last_login"))

    def test_it_keeps_microseconds(self) -> None:
        keyset = Keyset(AttemptLimit, ("ends_at", "id"))
        values = [datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC), 5]
        assert keyset.load(keyset.dump(values)) == values

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        moments=st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=12),
        limit=st.integers(1, 5),
        descending=st.booleans(),
    )
    def test_it_walks_over_nulls_at_the_end_both_ways(
        self, moments: list[int | None], limit: int, descending: bool
    ) -> None:
        start = datetime(2026, 3, 2, tzinfo=UTC)
        ApiKey.objects.all().delete()
        client = make_shop_client()
        for number, moment in enumerate(moments):
            ApiKey.objects.create(
                id=f"k{number:02d}",
                prefix=f"p{number:02d}",
                client=client,
                name="k",
                last_used_at=None if moment is None else start + timedelta(hours=moment),
            )
        sign = "-" if descending else ""
        keyset = Keyset(ApiKey, (f"{sign}last_used_at", f"{sign}id"))
        filled = sorted(
            (row for row in ApiKey.objects.all() if row.last_used_at),
            key=lambda row: (row.last_used_at, row.pk),
            reverse=descending,
        )
        empty = sorted(
            (row for row in ApiKey.objects.all() if not row.last_used_at),
            key=lambda row: row.pk,
            reverse=descending,
        )
        expected = [row.pk for row in [*filled, *empty]]
        assert walk(keyset, limit, backward=False) == expected
        assert walk(keyset, limit, backward=True) == expected[::-1][1:]


def walk(keyset: Keyset, limit: int, *, backward: bool) -> list[str]:
    """Every row from the first on, or every row before the last one back to the first."""
    queryset = ApiKey.objects.all()
    position = None
    if backward:
        last = keyset.rows(queryset, None, 1000)[-1:]
        if not last:
            return []
        position = Position(keyset.values_of(last[0]), backward=True)
    found: list[str] = []
    while rows := keyset.rows(queryset, position, limit):
        found += [row.pk for row in rows]
        position = Position(keyset.values_of(rows[-1]), backward)
    return found
