"""REST: the one way in which a clear value leaves."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aftersales.accounts.actors import Actor
from aftersales.accounts.idempotency import idempotent
from aftersales.accounts.permissions import StaffOnly
from aftersales.common import errors
from aftersales.common.api.serializers import StrictSerializer, read_body
from aftersales.customers import grants, permissions
from aftersales.customers.models import Contact, PersonalField


def personal_fields() -> Any:
    return serializers.ListField(
        child=serializers.ChoiceField(PersonalField.choices),
        min_length=1,
        max_length=len(PersonalField),
    )


class RevealInput(StrictSerializer):
    fields = personal_fields()
    case_ref = serializers.CharField(max_length=64)
    purpose = serializers.CharField(max_length=200)


class RevealOutput(serializers.Serializer[dict[str, str]]):
    """Only the fields asked for; '' where nothing is known."""

    name = serializers.CharField(required=False)
    phone = serializers.CharField(required=False)
    email = serializers.CharField(required=False)
    address = serializers.CharField(required=False)


class BreakGlassInput(StrictSerializer):
    fields = personal_fields()
    case_ref = serializers.CharField(max_length=64)
    reason = serializers.CharField(max_length=500)


class BreakGlassOutput(serializers.Serializer[Any]):
    until = serializers.DateTimeField()


class ContactView(APIView):
    permission_classes = [IsAuthenticated, StaffOnly]

    def contact_id(self, public_id: UUID) -> int:
        found = Contact.objects.filter(public_id=public_id).values_list("pk", flat=True).first()
        if found is None:
            raise errors.NotVisible()
        return found

    def actor(self, request: Request) -> Actor:
        actor: Actor = request._request.actor  # type: ignore[attr-defined]
        return actor


class RevealView(ContactView):
    """Needs no Idempotency-Key: each look is a look of its own and no answer is kept."""

    @extend_schema(request=RevealInput, responses={200: RevealOutput})
    def post(self, request: Request, public_id: UUID) -> Response:
        """Show personal data of a contact to the holder of a grant; the look is recorded."""
        asked = read_body(RevealInput, request)
        values = grants.reveal(
            contact_id=self.contact_id(public_id), by=self.actor(request), **asked
        )
        return Response(values, headers={"Cache-Control": "no-store"})


class BreakGlassView(ContactView):
    @extend_schema(request=BreakGlassInput, responses={201: BreakGlassOutput})
    @idempotent()
    def post(self, request: Request, public_id: UUID) -> Response:
        """Let a manager see a contact for an hour without a job; managers are told."""
        by = self.actor(request)
        if not permissions.can_break_glass(by):
            raise errors.NotAllowed()  # before anybody learns whether the contact exists
        asked = read_body(BreakGlassInput, request)
        grant = grants.break_glass(contact_id=self.contact_id(public_id), by=by, **asked)
        return Response({"until": grant.until}, status=status.HTTP_201_CREATED)
