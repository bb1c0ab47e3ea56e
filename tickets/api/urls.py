from django.urls import include, path
from rest_framework.routers import SimpleRouter

from tickets.api import attachments
from tickets.api.views import TicketViewSet

app_name = "tickets-api"
router = SimpleRouter(use_regex_path=False)
router.register("tickets", TicketViewSet, basename="ticket")
urlpatterns = [path("", include(router.urls)), *attachments.urlpatterns]
