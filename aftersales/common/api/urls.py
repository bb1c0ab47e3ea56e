"""The OpenAPI document and its reader. Public: they describe the doors and open none."""

from django.urls import path
from drf_spectacular.views import SpectacularSwaggerSplitView

from aftersales.common.api import views

app_name = "api"
urlpatterns = [
    path("schema/", views.schema, name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api:schema"), name="docs"),
]
