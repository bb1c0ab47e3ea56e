"""Pages about cases. Customers come in by their secret link, without signing in."""

from django.urls import path

from tickets.views import customer

app_name = "tickets"

urlpatterns = [
    path("c/<str:token>/", customer.case, name="customer-case"),
]
