from typing import Any

from rest_framework import serializers

from aftersales.accounts.models import Role, Scope, Team, User


class StaffSerializer(serializers.ModelSerializer[User]):
    """A colleague as colleagues see one: no address, no sign-in name."""

    id = serializers.UUIDField(source="public_id")
    roles = serializers.ListField(child=serializers.ChoiceField(choices=Role.choices))
    team = serializers.SlugRelatedField[Team](slug_field="code", read_only=True)

    class Meta:
        model = User
        fields = ["id", "staff_number", "display_name", "roles", "team", "is_present"]


class TeamSerializer(serializers.ModelSerializer[Team]):
    class Meta:
        model = Team
        fields = ["code", "name_zh", "name_en", "kind", "is_intake"]


class ShopSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="public_id")
    code = serializers.CharField()
    name = serializers.CharField()


class MeSerializer(serializers.Serializer[Any]):
    """The client behind a key, with its shop or its user."""

    id = serializers.UUIDField(source="public_id")
    kind = serializers.CharField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))
    shop = ShopSerializer(allow_null=True)
    user = StaffSerializer(allow_null=True)
