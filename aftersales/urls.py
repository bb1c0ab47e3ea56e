"""HTML routes and /api/v1/. Apps are included by dotted string, so that nothing is imported."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("aftersales.health.urls")),
    path("", include("aftersales.accounts.urls")),
    # Signing in and passwords have one door each, with its limits; the admin's own stay shut.
    path(
        "admin/password_change/",
        RedirectView.as_view(pattern_name="account_change_password"),
        name="admin_password_change",
    ),
    path("admin/", admin.site.urls),
    path("", include("tickets.urls")),
    path("api/v1/", include("aftersales.common.api.urls")),
    path("api/v1/", include("aftersales.accounts.api.urls")),
    path("api/v1/", include("aftersales.customers.urls")),
    path("api/v1/", include("tickets.api.urls")),
]

handler400 = "aftersales.common.errorpages.bad_request"
handler403 = "aftersales.common.errorpages.permission_denied"
handler404 = "aftersales.common.errorpages.page_not_found"
handler500 = "aftersales.common.errorpages.server_error"
