"""``make bench``: what a call costs beside a bare DRF view and the same statements as raw SQL.

Times are medians of interleaved runs in one process; on a shared machine only the ratios count.
"""

import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from aftersales.accounts.models import ApiClient, ClientKind, Role
from aftersales.common import dbtime
from aftersales.setup import profile
from bench import population
from tests.factories import intake_team, make_report, make_shop_client, make_user, staff_actor
from tests.openapi import new_key
from tickets import clocks, workflow

pytestmark = [pytest.mark.bench, pytest.mark.django_db(transaction=True)]
ROUNDS = 150
_serial = itertools.count(1)


@pytest.fixture(params=[10_000, 100_000], ids=["10k", "100k"])
def size(request: pytest.FixtureRequest) -> Iterator[int]:
    profile.load("maker", now=dbtime.database_now())
    intake_team()
    model = workflow.take_in(make_report(), by=staff_actor()).ticket
    population.copy_case(model, request.param)
    with override_settings(
        ROOT_URLCONF="bench.bare", API_REQUESTS_PER_MINUTE=10**9, LOGGING_CONFIG=None
    ):
        yield request.param


def client_of(client: ApiClient) -> Client:
    return Client(headers={"Authorization": f"Bearer {new_key(client)}"})


def staff_client() -> Client:
    user = make_user(Role.SUPERVISOR)
    return client_of(ApiClient.objects.create(kind=ClientKind.STAFF, name="bench", user=user))


def medians(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Milliseconds, the works taking turns so that a slow moment hits all of them."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(rounds + 10):
        for work, own in zip(works, times, strict=True):
            begun = time.perf_counter()
            work()
            if turn >= 10:
                own.append((time.perf_counter() - begun) * 1000)
    return [statistics.median(own) for own in times]


def statements_of(work: Callable[[], object]) -> list[str]:
    """The statements that ``work`` sends, without those that only frame a transaction."""
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        work()
        transaction.set_rollback(True)
    frames = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
    return [query["sql"] for query in captured if not query["sql"].startswith(frames)]


def replay(statements: list[str]) -> None:
    """The same statements by the driver alone, undone at the end."""
    with transaction.atomic(), connection.cursor() as cursor:
        raw = cursor.cursor
        for statement in statements:
            raw.execute(statement)
        transaction.set_rollback(True)


def show(size: int, what: str, ours: float, bare: float, raw: float, queries: int) -> None:
    print(
        f"\n{size:>7,} cases  {what:<22} {ours:7.2f} ms   bare view {bare:6.2f} ms"
        f"  x {ours / bare:4.2f}   raw SQL {raw:6.2f} ms  x {ours / raw:5.2f}   {queries} queries",
        end="",
    )


def compare(
    size: int, what: str, ours: Callable[[], Any], bare: Callable[[], Any], rounds: int = ROUNDS
) -> None:
    ours()
    statements = statements_of(ours)
    own, plain, raw = medians(rounds, ours, bare, lambda: replay(statements))
    show(size, what, own, plain, raw, len(statements))


def test_intake(size: int) -> None:
    shop = client_of(make_shop_client())
    body = {
        "kind": "fault",
        "channel": "shop",
        "subject": "指示灯不亮",
        "description": "开机后指示灯不亮",
        "customer": {"name": "王小明", "phone": "13800138000"},
        "product": {"model": "PX-200", "serial_number": "SN1"},
    }

    def post(path: str, content: dict[str, Any]) -> None:
        key = {"Idempotency-Key": f"bench-{next(_serial)}"}
        answer = shop.post(path, json.dumps(content), content_type="application/json", headers=key)
        assert answer.status_code == 201, answer.content

    compare(
        size,
        "intake",
        lambda: post("/api/v1/tickets/", body),
        lambda: post("/bare/insert/", {"subject": "指示灯不亮"}),
    )


def test_read(size: int) -> None:
    staff = staff_client()
    first = staff.get("/api/v1/tickets/?limit=1").json()["results"][0]["id"]

    def get(path: str) -> None:
        assert staff.get(path).status_code == 200

    compare(
        size,
        "read one case",
        lambda: get(f"/api/v1/tickets/{first}/"),
        lambda: get(f"/bare/{first}/"),
    )


def test_pages(size: int) -> None:
    staff = staff_client()

    def get(path: str) -> Any:
        answer = staff.get(path)
        assert answer.status_code == 200, answer.content
        return answer.json()

    deep = "/api/v1/tickets/?limit=250"
    for _ in range(size * 8 // 10 // 250):
        deep = get(deep)["next"]
    deep = deep.replace("limit=250", "limit=50")
    compare(size, "first page", lambda: get("/api/v1/tickets/"), lambda: get("/bare/"))
    compare(size, "page at 80 %", lambda: get(deep), lambda: get("/bare/"))


@pytest.mark.parametrize("due", [0, 100, 10_000])
def test_sweep(size: int, due: int) -> None:
    clocks.sweep()
    assert population.make_due(due) == due
    statements = statements_of(clocks.sweep)
    begun = time.perf_counter()
    replay(statements)
    raw = time.perf_counter() - begun
    begun = time.perf_counter()
    settled = clocks.sweep()
    seconds = time.perf_counter() - begun
    assert settled == due
    rate = f"{due / seconds:8,.0f} flags/s" if due else " " * 16
    print(
        f"\n{size:>7,} cases  sweep, {due:>6,} due      {seconds * 1000:8.1f} ms  {rate}"
        f"   raw SQL {raw * 1000:7.1f} ms  x {seconds / raw:5.2f}   {len(statements)} queries",
        end="",
    )
