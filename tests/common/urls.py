"""A tiny API for the tests of our REST conventions."""

from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.db import InterfaceError, OperationalError, connection, transaction
from django.http import Http404
from django.urls import include, path
from rest_framework import exceptions, serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aftersales import urls as portal
from aftersales.accounts.models import Shop
from aftersales.common import errors
from aftersales.common.api import versions
from aftersales.common.api.serializers import InstantField, StrictSerializer, read_body, read_query


def lock_timeout() -> None:
    """A lock that another connection holds, waited for a moment only."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '50ms'")
        cursor.execute("SELECT 1 FROM accounts_shop FOR UPDATE")


RAISES: dict[str, Any] = {
    "not_allowed": errors.NotAllowed(),
    "not_visible": errors.NotVisible(),
    "wrong_state": errors.WrongState(allowed_events=["b", "a"]),
    "conflict": errors.Conflict(),
    "gone": errors.Gone(),
    "stale": errors.Stale(version=7),
    "too_large": errors.TooLarge(),
    "wrong_type": errors.WrongType(),
    "invalid": errors.Invalid(errors.FieldError("/a/0/b~1c", "x", "Wrong.")),
    "too_many": errors.TooMany(retry_after=9),
    "http404": Http404("a secret"),
    "drf404": exceptions.NotFound("a secret"),
    "forbidden": PermissionDenied("a secret"),
    "drf_forbidden": exceptions.PermissionDenied(),
    "suspicious": SuspiciousOperation("a secret"),
    "throttled": exceptions.Throttled(wait=3.2),
    "model": ValidationError({"name": ["Too long."], "__all__": ["Both."]}),
    "model_whole": ValidationError("Both.", code="both"),
    "surprise": RuntimeError("SELECT secret FROM /etc/passwd"),
    "database": OperationalError("could not connect to server at secret"),
    "connection": InterfaceError("connection already closed"),
}


class RaisesView(APIView):
    permission_classes = ()

    def get(self, request: Request, what: str) -> Response:
        if what == "lock":
            lock_timeout()
        raise RAISES[what]


class InnerInput(StrictSerializer):
    phone = serializers.CharField(max_length=5)


class EchoInput(StrictSerializer):
    name = serializers.CharField(max_length=20)
    count = serializers.IntegerField(required=False, min_value=0)
    flag = serializers.BooleanField(required=False)
    at = InstantField(required=False)
    inner = InnerInput(required=False)
    items = InnerInput(many=True, required=False)
    fixed = serializers.CharField(read_only=True)
    kind = serializers.ChoiceField(choices=["a", "b"], required=False, allow_null=True)


class EchoView(APIView):
    permission_classes = ()

    def post(self, request: Request) -> Response:
        return Response(read_body(EchoInput, request))


class VersionedView(APIView):
    permission_classes = ()
    present = 3

    def post(self, request: Request) -> Response:
        versions.check(versions.expected_version(request), self.present)
        return Response({}, headers={"ETag": versions.etag(self.present)})


class ShopFilter(StrictSerializer):
    code = serializers.CharField(required=False)
    is_active = serializers.BooleanField(required=False)
    code__in = serializers.ListField(child=serializers.CharField(), required=False)


class ShopSerializer(serializers.ModelSerializer[Shop]):
    class Meta:
        model = Shop
        fields = ["id", "code"]


class ShopsView(ListAPIView[Shop]):
    permission_classes = ()
    serializer_class = ShopSerializer
    keyset: tuple[str, ...] = ("-name", "-id")

    def get_queryset(self) -> Any:
        return Shop.objects.filter(**read_query(ShopFilter, self.request))


handler400, handler404 = portal.handler400, portal.handler404
urlpatterns = [
    path("", include("aftersales.urls")),
    path("api/v1/raises/<str:what>/", RaisesView.as_view()),
    path("api/v1/echo/", EchoView.as_view()),
    path("api/v1/versioned/", VersionedView.as_view()),
    path("api/v1/shops/", ShopsView.as_view()),
]
