from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aftersales.accounts.api.serializers import MeSerializer, StaffSerializer, TeamSerializer
from aftersales.accounts.models import Team, User
from aftersales.accounts.permissions import KeyMayCall, StaffOnly


class MeView(APIView):
    """Who this key is: the first call to try a key with."""

    # Any live key may ask about itself, whatever its scopes.
    permission_classes = (IsAuthenticated,)

    @extend_schema(responses=MeSerializer, operation_id="me")
    def get(self, request: Request) -> Response:
        return Response(MeSerializer(request.auth).data)


class StaffListView(ListAPIView[User]):
    """Colleagues whom a case can be given to; for staff keys."""

    permission_classes = (IsAuthenticated, KeyMayCall, StaffOnly)
    serializer_class = StaffSerializer
    queryset = User.objects.filter(is_active=True).select_related("team")
    keyset = ("id",)


class TeamListView(ListAPIView[Team]):
    """All teams; for staff keys."""

    permission_classes = (IsAuthenticated, KeyMayCall, StaffOnly)
    serializer_class = TeamSerializer
    queryset = Team.objects.all()
    keyset = ("id",)
