from django.http import HttpRequest, HttpResponse
from django.urls import path


def page(request: HttpRequest, token: str) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path("c/<str:token>/", page, name="probe-link")]
