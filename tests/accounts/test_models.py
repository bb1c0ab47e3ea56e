"""What the database itself refuses, and how actors describe themselves."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from aftersales.accounts import actors
from aftersales.accounts.models import ApiClient, ClientKind, Role, Scope, Team, User
from tests.factories import intake_team, make_shop, make_shop_client, make_team, make_user

pytestmark = pytest.mark.django_db


def check_now() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": ClientKind.SHOP, "shop": None},
        {"kind": ClientKind.STAFF, "scopes": []},
        {"kind": ClientKind.STAFF, "shop": None, "scopes": []},
        {"scopes": ["everything"]},
        {"kind": "robot"},
    ],
)
def test_it_refuses_a_client_that_is_neither_a_shops_nor_a_persons(wrong: dict[str, Any]) -> None:
    values: dict[str, Any] = {
        "kind": ClientKind.SHOP,
        "name": "x",
        "shop": make_shop(),
        "scopes": [Scope.TICKETS_READ],
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiClient.objects.create(**values | wrong)


def test_it_refuses_a_client_of_both_a_shop_and_a_person() -> None:
    for kind in ClientKind:
        with pytest.raises(IntegrityError), transaction.atomic():
            ApiClient.objects.create(kind=kind, name="x", shop=make_shop(), user=make_user())


@pytest.mark.parametrize("wrong", [{"roles": ["emperor"]}, {"language": "de"}])
def test_it_refuses_unknown_values_of_an_account(wrong: dict[str, Any]) -> None:
    user = make_user()
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=user.pk).update(**wrong)


def test_it_has_at_most_one_intake_team() -> None:
    intake_team()
    with pytest.raises(IntegrityError), transaction.atomic():
        make_team(is_intake=True)


@pytest.mark.parametrize("change", ["flag", "delete"])
def test_it_never_loses_its_intake_team(change: str) -> None:
    rows = Team.objects.filter(pk=intake_team().pk)
    rows.update(is_intake=False) if change == "flag" else rows.delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        check_now()
    make_team(is_intake=True)


def test_it_asks_roles_without_a_query() -> None:
    user = make_user(Role.AGENT, Role.ENGINEER)
    with CaptureQueriesContext(connection) as queries:
        assert user.has_role(Role.MANAGER, Role.ENGINEER)
        assert not user.has_role(Role.MANAGER)
        assert not user.has_role()
    assert len(queries) == 0


@pytest.mark.parametrize("role", list(Role))
def test_it_opens_the_admin_to_administrators_only(role: Role) -> None:
    user = make_user(role)
    assert user.is_staff is user.is_superuser is (role == Role.ADMINISTRATOR)


def test_it_makes_a_superuser_an_administrator() -> None:
    call_command(
        "createsuperuser",
        interactive=False,
        username="root",
        email="root@example.com",
        staff_number="S1",
        display_name="Root",
    )
    assert User.objects.get(username="root").roles == [Role.ADMINISTRATOR]


def test_it_names_rows_in_the_readers_language() -> None:
    team = make_team(name_zh="客服", name_en="Service")
    for language, name in (("zh-hans", "客服"), ("en", "Service")):
        with translation.override(language):
            assert str(team) == name


@pytest.mark.parametrize(
    ("roles", "kind"),
    [
        ([Role.AGENT], "staff"),
        ([Role.PROVIDER], "provider"),
        ([Role.DEALER], "provider"),
        ([Role.PROVIDER, Role.AGENT], "staff"),
        ([], "staff"),
    ],
)
def test_it_tells_outside_people_from_staff(roles: list[str], kind: str) -> None:
    actor = actors.staff(make_user(roles=roles, staff_number="S7"))
    assert (actor.kind, actor.label) == (kind, f"{kind}:S7")


def test_it_labels_actors_without_naming_a_person() -> None:
    assert actors.shop(make_shop_client(make_shop(code="east"))).label == "shop:east"
    assert actors.customer(12).label == "customer:12"
    assert actors.SYSTEM.label == "system"


def test_it_gives_no_role_to_shops_customers_and_the_system() -> None:
    for actor in (actors.shop(make_shop_client()), actors.customer(12), actors.SYSTEM):
        assert not actor.has_role(*Role)


def test_it_makes_no_shop_actor_of_a_staff_client() -> None:
    with pytest.raises(ValueError, match="acts as its user"):
        actors.shop(ApiClient(kind=ClientKind.STAFF, user=make_user()))
