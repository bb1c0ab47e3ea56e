"""HTML routes and /api/v1/. Apps are included by dotted string, so that no import runs from here."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("aftersales.health.urls")),
]
