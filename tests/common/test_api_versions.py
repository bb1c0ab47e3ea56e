"""If-Match: the version that was read, or 412."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client, override_settings


@pytest.fixture(autouse=True)
def _routes() -> Iterator[None]:
    with override_settings(ROOT_URLCONF="tests.common.urls"):
        yield


def change(tag: str | None) -> Any:
    headers = {} if tag is None else {"If-Match": tag}
    return Client().post("/api/v1/versioned/", headers=headers)


@pytest.mark.parametrize("tag", [None, "*", '"3"', ' "3" '])
def test_it_takes_the_present_version_or_none(tag: str | None) -> None:
    response = change(tag)
    assert (response.status_code, response["ETag"]) == (200, '"3"')


@pytest.mark.parametrize(
    "tag", ['"2"', '"4"', 'W/"3"', '"three"', '"-3"', '""', '"3.0"', f'"{"9" * 99}"']
)
def test_it_answers_412_to_any_other(tag: str) -> None:
    response = change(tag)
    assert (response.status_code, response.json()["code"]) == (412, "stale_version")


def test_it_names_the_present_version() -> None:
    assert change('"2"').json()["version"] == 3


@pytest.mark.parametrize("tag", ["3", '"3', '"3", "4"', "W/3", "x"])
def test_it_answers_400_to_what_is_no_tag(tag: str) -> None:
    response = change(tag)
    assert (response.status_code, response.json()["code"]) == (400, "bad_if_match")
