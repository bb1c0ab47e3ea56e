"""Only tickets.workflow moves a case, only tickets.clocks makes clocks and events: by syntax."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APPS = ("aftersales", "tickets", "returns", "surveys", "reports")
STATUS = {"status", "resolved_at", "closed_at", "cancelled_at", "waiting_reason"}
WRITERS = {"change", "create", "update", "get_or_create", "update_or_create", "Ticket"}
MAKERS = {"create", "bulk_create", "get_or_create", "update_or_create", "insert"}


def modules(*apps: str) -> list[Path]:
    found = [path for app in apps for path in sorted((ROOT / app).rglob("*.py"))]
    return [path.relative_to(ROOT) for path in found if "migrations" not in path.parts]


def status_writes(source: str, *, any_object: bool) -> Iterator[int]:
    """Lines that give a case a status; ``any_object`` where every object is taken for a case."""

    def is_case(node: ast.AST) -> bool:
        return any_object or "ticket" in ast.unparse(node).lower()

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target for target in targets if isinstance(target, ast.Attribute)]
            if any(name.attr in STATUS and is_case(name.value) for name in names):
                yield node.lineno
        elif isinstance(node, ast.Call) and is_case(node.func) and _gives_status(node):
            yield node.lineno


def _gives_status(call: ast.Call) -> bool:
    name = _name(call.func)
    if name in WRITERS:
        return any(keyword.arg in STATUS for keyword in call.keywords)
    constants = {node.value for node in ast.walk(call) if isinstance(node, ast.Constant)}
    return name in ("setattr", "bulk_update") and bool(constants & STATUS)


def rows_made(source: str, *models: str) -> Iterator[int]:
    """Lines that make rows of these models, not counting reads of them."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        makes = isinstance(node.func, ast.Attribute) and node.func.attr in MAKERS
        text = ast.unparse(node.func)
        if text in models or (makes and text.split(".")[0] in models):
            yield node.lineno


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def test_nothing_but_workflow_gives_a_case_a_status() -> None:
    found = [
        f"{path}:{line}"
        for path in modules(*APPS)
        if path.parts[:2] != ("tickets", "workflow")
        for line in status_writes(
            (ROOT / path).read_text(encoding="utf-8"), any_object=path.parts[0] == "tickets"
        )
    ]
    assert found == []


def test_nothing_but_the_engine_makes_clocks_and_events() -> None:
    found = [
        f"{path}:{line}"
        for path in modules(*APPS)
        if path.parts[:2] != ("tickets", "clocks")
        for line in rows_made((ROOT / path).read_text(encoding="utf-8"), "Clock", "Event")
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        'ticket.status = "closed"',
        'case.ticket.status = "closed"',
        "ticket.closed_at = None",
        'Ticket.objects.filter(pk=1).update(status="closed")',
        'self.ticket_set.update(level="urgent", status="new")',
        'case_of_ticket.change(status="closed")',
        'Ticket(status="closed")',
        'Ticket.objects.bulk_update(rows, ["status"])',
        'tickets and setattr(ticket, "status", "new")',
    ],
)
def test_it_sees_every_way_to_give_a_status(line: str) -> None:
    assert list(status_writes(line, any_object=True)) == [1]


@pytest.mark.parametrize(
    "line",
    [
        'Ticket.objects.filter(status="closed")',
        "return Response(ticket, status=201)",
        'if ticket.status == "closed": pass',
        "status = ticket.status",
    ],
)
def test_it_leaves_readers_alone(line: str) -> None:
    source = f"def view():\n    {line}"
    assert list(status_writes(source, any_object=True)) == []


@pytest.mark.parametrize("line", ["Event(name='x')", "Clock.objects.create()"])
def test_it_sees_who_makes_rows(line: str) -> None:
    assert list(rows_made(line, "Clock", "Event")) == [1]
