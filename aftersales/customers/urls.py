from django.urls import path

from aftersales.customers import api

app_name = "customers"
urlpatterns = [
    path("contacts/<uuid:public_id>/reveal/", api.RevealView.as_view(), name="reveal"),
    path(
        "contacts/<uuid:public_id>/break-glass/", api.BreakGlassView.as_view(), name="break-glass"
    ),
]
