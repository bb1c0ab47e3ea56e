"""The OpenAPI document: public, complete about problems, and the same for everybody."""

import json
from typing import Any

import pytest
from django.test import Client

from aftersales.accounts.models import Role
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def document() -> dict[str, Any]:
    response = Client().get("/api/v1/schema/")
    assert response["Content-Type"] == "application/vnd.oai.openapi+json"
    return dict(json.loads(response.content))


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_lists_paths_of_the_api_only(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/me/" in document["paths"]
    assert all(path.startswith("/api/v1/") and path.endswith("/") for path in document["paths"])


def test_it_asks_every_operation_for_a_key(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for name, operation in operations(document).items():
        assert operation["security"] == [{"bearer": []}], name


def test_it_says_what_every_operation_refuses(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        responses = operation["responses"]
        assert {"401", "403", "429", "503"} <= set(responses), name
        assert ("{" not in name) or "404" in responses, name
        assert (not name.startswith("POST")) or {"400", "409", "422"} <= set(responses), name
    for response in document["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]


def test_it_names_the_key_of_repetition_where_it_is_needed(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        headers = {p["name"] for p in operation.get("parameters", []) if p["in"] == "header"}
        if name.startswith("POST") and "/reveal/" not in name:
            assert "Idempotency-Key" in headers, name
        if not name.startswith("POST"):
            assert "Idempotency-Key" not in headers, name


def test_it_describes_pages(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/staff/"]["get"]
    assert {"cursor", "limit"} <= {parameter["name"] for parameter in operation["parameters"]}
    reference = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    page = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
    assert set(page["required"]) == {"results", "next", "previous"}
    assert "count" not in page["properties"]


def test_it_is_the_same_whoever_asks() -> None:
    browser = Client(headers={"Accept-Language": "zh-CN"})
    browser.force_login(make_user(Role.ADMINISTRATOR))
    assert browser.get("/api/v1/schema/").content == Client().get("/api/v1/schema/").content


def test_it_is_read_without_anything_from_outside() -> None:
    page = Client().get("/api/v1/docs/").content.decode()
    assert "http://" not in page.replace("http://testserver", "")
    assert "https://" not in page
    script = Client().get("/api/v1/docs/?script=").content.decode()
    assert "cdn." not in script
