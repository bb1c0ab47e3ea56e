"""``Authorization: Bearer <key>``: who calls the API. No session, no key in the address."""

import logging
import re
from datetime import timedelta
from typing import Any, cast

from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, transaction
from django.db.models import BooleanField, Case, Q, Value, When
from django.db.models.functions import Now
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from aftersales.accounts import actors
from aftersales.accounts.models import ApiClient, ApiKey, User
from aftersales.common.api import throttling

logger = logging.getLogger(__name__)

STAMP_EVERY = timedelta(hours=1)
KEY = re.compile(r"[A-Za-z0-9]{8}\.[A-Za-z0-9]{32}")
KEY_NAMES = {"api_key", "apikey", "api-key", "access_token", "bearer"}


class ShopUser(AnonymousUser):
    """Stands for a shop where Django wants a user: signed in, but nobody."""

    @property
    def is_authenticated(self) -> bool:  # type: ignore[override]
        return True

    @property
    def is_anonymous(self) -> bool:  # type: ignore[override]
        return False


class KeyAuthentication(BaseAuthentication):
    """Sets ``request.user``, ``request.auth`` (the client) and ``request.actor``.

    One query asks for key, client, shop and user, so whoever is disabled is out with the next
    request. Wrong keys are counted by address.
    """

    def authenticate(self, request: Request) -> tuple[User | ShopUser, ApiClient] | None:
        if _holds_key(request):
            # It stands in logs and histories now; used or not, it should be replaced.
            raise AuthenticationFailed(code="key_in_url")
        scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            throttling.refuse_if_too_many(request)
            return None
        key = self._live_key(presented.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            throttling.refuse_if_too_many(request)
            raise AuthenticationFailed()
        if key.stamp_due:  # type: ignore[attr-defined]
            _stamp(key)
        client = key.client
        user = client.user or ShopUser()
        http: HttpRequest = request._request
        http.actor = (  # type: ignore[attr-defined]
            actors.staff(client.user, client=client) if client.user else actors.shop(client)
        )
        return user, client

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'

    def _live_key(self, presented: str) -> ApiKey | None:
        if KEY.fullmatch(presented) is None:
            return None
        key = (
            ApiKey.objects.select_related("client__shop", "client__user")
            .filter(
                Q(expiry_date__isnull=True) | Q(expiry_date__gt=Now()),
                Q(client__shop__is_active=True) | Q(client__user__is_active=True),
                prefix=presented.partition(".")[0],
                revoked=False,
                client__is_active=True,
            )
            .annotate(
                stamp_due=Case(
                    When(last_used_at__gt=Now() - STAMP_EVERY, then=Value(False)),
                    default=Value(True),
                    output_field=BooleanField(),
                )
            )
            .first()
        )
        return key if key is not None and key.is_valid(presented) else None


def client_of(request: Request) -> ApiClient:
    """The client behind a request that ``KeyAuthentication`` let in."""
    return cast(ApiClient, request.auth)


def _holds_key(request: Request) -> bool:
    return any(
        name.lower() in KEY_NAMES or any(map(KEY.fullmatch, values))
        for name, values in request.query_params.lists()
    )


def _stamp(key: ApiKey) -> None:
    """Note the use, at most once an hour; a call never fails for it."""
    try:
        with transaction.atomic():
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=Now())
    except DatabaseError:
        logger.warning("key_use_not_stamped", extra={"prefix": key.prefix})


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes the key in the OpenAPI document."""

    target_class = KeyAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key: prefix.secret"}
