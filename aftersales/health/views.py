"""The watchman's three doors: alive, ready, figures."""

import hmac
import ipaddress

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from aftersales.health import checks, metrics


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is asked, so that a lost database restarts nobody."""
    return JsonResponse({"status": "live"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Whether the portal does its work, and which part does not."""
    findings = checks.run_all()
    verdict = checks.worst(findings)
    body = {
        "status": verdict,
        "checks": {name: {"status": one.verdict, **one.facts} for name, one in findings.items()},
    }
    return JsonResponse(body, status=503 if verdict is checks.Verdict.FAILED else 200)


@never_cache
@require_safe
def figures(request: HttpRequest) -> HttpResponse:
    """Prometheus's page, for those who may read it."""
    if not may_read_figures(request):
        return HttpResponseForbidden()
    return HttpResponse(metrics.render(), content_type=CONTENT_TYPE_LATEST)


def may_read_figures(request: HttpRequest) -> bool:
    """The token if one is set; else a private address that came to us directly, not by a proxy."""
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_private
    except ValueError:
        return False
