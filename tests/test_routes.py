"""Every route × method × persona answers as the table in ``tests/routes.py`` says."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import transaction
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from django.utils.http import urlencode
from pytest_django import DjangoDbBlocker

from tests.calls import Call, World, unoffered
from tests.personas import EVERYBODY
from tests.routes import ROUTES

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """One world for the whole table; what a call does to it is undone by ``answer``."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield World()
        transaction.set_rollback(True)


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Django's admin is one door: tested as a whole, below.
ADMIN = "admin:"


def route_names() -> set[str]:
    """Every name in the resolver; a route without a name cannot be listed, so it counts as one."""

    def walk(patterns: list[Any], namespace: str) -> Iterator[str]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                inner = f"{pattern.namespace}:" if pattern.namespace else ""
                yield from walk(pattern.url_patterns, namespace + inner)
            elif isinstance(pattern, URLPattern):
                yield namespace + (pattern.name or f"unnamed {pattern.pattern}")

    return set(walk(get_resolver().url_patterns, ""))


def wanted_calls(name: str, world: World) -> Iterator[Call]:
    named = [call for call in ROUTES[name] if call.method != "*"]
    yield from named
    first = ROUTES[name][0]
    rest = next((call for call in ROUTES[name] if call.method == "*"), None)
    for method in sorted(set(METHODS) - {call.method for call in named}):
        if rest is not None:
            yield replace(rest, method=method)
        else:
            yield Call(method, unoffered(first.codes), path=first.path)


def answer(world: World, persona: str, call: Call, name: str, kwargs: dict[str, Any]) -> Any:
    path = reverse(name, kwargs=kwargs)
    query = urlencode(call.query(world), doseq=True)
    # Whatever the request does is undone, so that personas do not see each other's traces. The mark
    # is Django's own for the transactions of its TestCase: durable blocks inside do not mind it.
    undone = transaction.atomic()
    undone._from_testcase = True  # type: ignore[attr-defined]
    with undone:
        response = world[persona].ask(
            call.method, f"{path}?{query}" if query else path, call.body(world)
        )
        transaction.set_rollback(True)
    return response


def without_own_marks(content: bytes) -> dict[str, Any]:
    problem: dict[str, Any] = json.loads(content)
    return {k: v for k, v in problem.items() if k not in {"instance", "request_id"}}


def test_it_knows_every_route() -> None:
    missing = {name for name in route_names() if not name.startswith(ADMIN)} - set(ROUTES)
    assert not missing, (
        f"add these to tests/routes.py or tests/tickets/routes.py: {sorted(missing)}"
    )


def test_it_lists_no_route_that_is_gone() -> None:
    assert set(ROUTES) <= route_names()


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_it_answers_each_persona_as_the_table_says(world: World, name: str) -> None:
    wrong = []
    for call in wanted_calls(name, world):
        for persona in EVERYBODY:
            response = answer(world, persona, call, name, call.path(world))
            if response.status_code != call.codes[persona]:
                wrong.append(
                    f"{call.method} {name} as {persona}: "
                    f"{response.status_code}, expected {call.codes[persona]}"
                )
            if call.hidden and response.status_code == 404:
                other = answer(world, persona, call, name, call.hidden(world))
                if without_own_marks(other.content) != without_own_marks(response.content):
                    wrong.append(f"{call.method} {name} as {persona}: tells that the id exists")
    assert not wrong, "\n".join(wrong)


def admin_path(name: str) -> str:
    """The route's path, with an id that does not exist where it asks for one."""
    for arguments in ([], ["0"], ["0", "0"]):
        try:
            return reverse(name, args=arguments)
        except NoReverseMatch:
            continue
    # The catch-all, and the shortcut from an app's label, know only certain words.
    return "/admin/auth/" if "app_list" in name else "/admin/nowhere/"


def test_it_lets_only_administrators_into_the_admin(world: World) -> None:
    wrong = []
    for name in sorted(name for name in route_names() if name.startswith(ADMIN)):
        path = admin_path(name)
        for persona in ("nobody", "agent_owner", "manager", "shop", "disabled", "administrator"):
            response = world[persona].ask("GET", path)
            code, inside = response.status_code, persona == "administrator"
            away = response.headers.get("Location", "").startswith(("/admin/", "/account/"))
            kept_out = code in {403, 404, 405} or (code == 302 and away)
            if not kept_out and not (inside and code in {200, 302}):
                wrong.append(f"{path} as {persona}: {code}")
    assert not wrong, "\n".join(wrong)
