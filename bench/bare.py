"""What Django REST framework costs at the least: plain views of one table behind the same key."""

import uuid

from django.urls import include, path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aftersales.messaging.models import Outbox
from tickets.models import Ticket


class RowInput(serializers.Serializer):  # type: ignore[type-arg]
    subject = serializers.CharField(max_length=200)


class TicketRow(serializers.ModelSerializer[Ticket]):
    class Meta:
        model = Ticket
        fields = ["public_id", "number", "kind", "channel", "status", "level", "grading", "subject"]
        fields += ["received_at", "next_due_at", "urges", "version", "external_ref"]


class Insert(APIView):
    """Checks one field and inserts one row."""

    shop_scopes = {"post": "tickets:write"}

    def post(self, request: Request) -> Response:
        form = RowInput(data=request.data)
        form.is_valid(raise_exception=True)
        row = Outbox.objects.create(
            topic="bench", dedupe_key=str(uuid.uuid4()), payload={}, available_at=timezone.now()
        )
        return Response({"id": row.pk}, status=201)


class Read(APIView):
    def get(self, request: Request, public_id: uuid.UUID) -> Response:
        return Response(TicketRow(Ticket.objects.get(public_id=public_id)).data)


class Page(APIView):
    def get(self, request: Request) -> Response:
        rows = Ticket.objects.order_by("-created_at", "-id")[:50]
        return Response(TicketRow(rows, many=True).data)


urlpatterns = [
    path("", include("aftersales.urls")),
    path("bare/insert/", Insert.as_view()),
    path("bare/<uuid:public_id>/", Read.as_view()),
    path("bare/", Page.as_view()),
]
