"""A tiny API for the tests of idempotency: what it does can be counted."""

import threading
from datetime import timedelta
from typing import Any

from django.urls import include, path
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aftersales.accounts.idempotency import idempotent
from aftersales.accounts.models import Team
from aftersales.common import errors
from aftersales.common.api.parsers import JSONParser
from aftersales.common.api.serializers import StrictSerializer, read_body

# A test sets it to hold a request in the middle of its work.
go_on = threading.Event()
inside = threading.Event()
go_on.set()


class TeamInput(StrictSerializer):
    code = serializers.CharField(max_length=40)
    then = serializers.ChoiceField(choices=["invalid", "crash", "refused"], required=False)


class TeamsView(APIView):
    permission_classes = (IsAuthenticated,)

    @idempotent()
    def post(self, request: Request) -> Response:
        values = read_body(TeamInput, request)
        team = Team.objects.create(code=values["code"], name_zh="组", name_en="Team")
        inside.set()
        go_on.wait(timeout=20)
        match values.get("then"):
            case "invalid":
                raise errors.Invalid(errors.FieldError("/code", "taken", "Taken."))
            case "crash":
                raise RuntimeError("in the middle")
            case "refused":
                return Response({"no": True}, status=409)
        body = {"id": team.pk, "url": "https://example.com/secret-link"}
        return Response(body, status=201, headers={"Location": f"/teams/{team.pk}/", "ETag": '"1"'})


class FilesView(APIView):
    permission_classes = (IsAuthenticated,)
    parser_classes = (MultiPartParser, JSONParser)

    @idempotent(keep=timedelta(days=30))
    def post(self, request: Request) -> Response:
        data: Any = request.data
        file = data["file"]
        return Response({"size": len(file.read())}, status=201)


urlpatterns = [
    path("", include("aftersales.urls")),
    path("api/v1/test-teams/", TeamsView.as_view()),
    path("api/v1/test-files/", FilesView.as_view()),
]
