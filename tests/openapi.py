"""A REST client for tests that holds every answer against the OpenAPI document in docs/."""

import itertools
import json
from functools import cache
from pathlib import Path
from typing import Any

from django.http import HttpResponse
from django.test import Client
from openapi_core import Config, OpenAPI
from openapi_core.contrib.django import DjangoOpenAPIRequest, DjangoOpenAPIResponse

from aftersales.accounts.models import ApiClient, ApiKey

DOCUMENT = Path(__file__).parent.parent / "docs" / "openapi.yaml"
_keys = itertools.count(1)


@cache
def document() -> OpenAPI:
    config = Config(extra_media_type_deserializers={"application/problem+json": json.loads})
    return OpenAPI.from_file_path(str(DOCUMENT), config=config)


def new_key(client: ApiClient) -> str:
    _row, key = ApiKey.objects.create_key(name="test", client=client)
    return str(key)


class RestClient:
    """Calls as one key; raises when an answer is not as documented."""

    def __init__(self, client: ApiClient) -> None:
        self._http = Client(headers={"Authorization": f"Bearer {new_key(client)}"})

    def get(self, path: str, **query: Any) -> HttpResponse:
        response = self._http.get(path, query)
        return self._checked(response)

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        headers = {"Idempotency-Key": f"test-{next(_keys)}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        response = self._http.post(
            path,
            json.dumps({} if body is None else body),
            content_type="application/json",
            headers=headers,
        )
        return self._checked(response)

    def upload(self, path: str, fields: dict[str, Any], **headers: str) -> HttpResponse:
        """A POST of multipart/form-data; files are whatever Django's test client sends as such."""
        headers = {"Idempotency-Key": f"test-{next(_keys)}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        response = self._http.post(path, fields, headers=headers)
        response.wsgi_request._body = b""  # its stream is read already; only the answer is checked
        return self._checked(response)

    def _checked(self, response: Any) -> HttpResponse:
        document().validate_response(
            DjangoOpenAPIRequest(response.wsgi_request), DjangoOpenAPIResponse(response)
        )
        return response  # type: ignore[no-any-return]
