from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_document(), content_type="application/vnd.oai.openapi+json")


@lru_cache(maxsize=1)
def _document() -> bytes:
    """Made once a process: it is the same for everybody, and making it is slow."""
    with translation.override("en"):
        generator: Any = SchemaGenerator
        document = generator().get_schema(request=None, public=True)
    rendered: bytes = OpenApiJsonRenderer().render(document)
    return rendered
