"""Changes to accounts, clients and keys: who may, what is written down, what happens at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import InternalError, connections, transaction

from aftersales.accounts import actors, workflow
from aftersales.accounts.actors import SYSTEM, Actor
from aftersales.accounts.models import AccountEvent, ApiKey, Role, RoleRequirement, Team, User
from aftersales.common import errors
from tests.factories import intake_team, make_shop_client, make_team, make_user

db = pytest.mark.django_db


@pytest.fixture
def administrator() -> Actor:
    return actors.staff(make_user(Role.ADMINISTRATOR))


@db
class TestRoles:
    def test_it_sets_roles_and_writes_it_down(self, administrator: Actor) -> None:
        user = make_user(Role.AGENT)
        fresh = workflow.set_roles(user.pk, [Role.SUPERVISOR, Role.AGENT], by=administrator)
        assert fresh.roles == [Role.AGENT, Role.SUPERVISOR]
        event = AccountEvent.objects.get(user=user)
        assert event.event == "account.roles_set"
        assert event.params == {"before": ["agent"], "after": ["agent", "supervisor"]}
        assert event.by == administrator.user

    def test_it_writes_nothing_when_nothing_changes(self, administrator: Actor) -> None:
        user = make_user(Role.AGENT)
        workflow.set_roles(user.pk, [Role.AGENT], by=administrator)
        assert not AccountEvent.objects.exists()

    def test_it_refuses_ones_own_roles(self, administrator: Actor) -> None:
        assert administrator.user is not None
        with pytest.raises(errors.NotAllowed):
            workflow.set_roles(administrator.user.pk, list(Role), by=administrator)

    @pytest.mark.parametrize("role", sorted(set(Role) - {Role.ADMINISTRATOR}))
    def test_it_refuses_every_other_role(self, role: Role) -> None:
        user = make_user(Role.AGENT)
        with pytest.raises(errors.NotAllowed):
            workflow.set_roles(user.pk, [Role.MANAGER], by=actors.staff(make_user(role)))
        user.refresh_from_db()
        assert user.roles == [Role.AGENT]

    def test_it_refuses_shops_and_customers(self) -> None:
        user = make_user(Role.AGENT)
        for by in (actors.shop(make_shop_client()), actors.customer(1)):
            with pytest.raises(errors.NotAllowed):
                workflow.set_roles(user.pk, [Role.MANAGER], by=by)

    def test_it_asks_the_actors_rights_as_they_are_now(self, administrator: Actor) -> None:
        assert administrator.user is not None
        user = make_user(Role.AGENT)
        workflow.set_roles(administrator.user.pk, [Role.AGENT], by=SYSTEM)
        with pytest.raises(errors.NotAllowed):
            workflow.set_roles(user.pk, [Role.MANAGER], by=administrator)

    def test_it_refuses_an_actor_who_was_disabled(self, administrator: Actor) -> None:
        assert administrator.user is not None
        workflow.set_active(administrator.user.pk, False, by=SYSTEM)
        with pytest.raises(errors.NotAllowed):
            workflow.set_roles(make_user().pk, [Role.MANAGER], by=administrator)

    def test_it_refuses_an_unknown_role_and_an_unknown_account(self, administrator: Actor) -> None:
        with pytest.raises(errors.Invalid):
            workflow.set_roles(make_user().pk, ["emperor"], by=administrator)
        with pytest.raises(errors.NotVisible):
            workflow.set_roles(0, [Role.AGENT], by=administrator)


@pytest.mark.django_db(transaction=True)
def test_it_leaves_an_administrator_when_two_demote_each_other() -> None:
    first, second = make_user(Role.ADMINISTRATOR), make_user(Role.ADMINISTRATOR)
    start = threading.Barrier(2)

    def demote(by: User, whom: User) -> bool:
        start.wait(timeout=10)
        try:
            workflow.set_roles(whom.pk, [Role.AGENT], by=actors.staff(by))
        except errors.NotAllowed:
            return False
        else:
            return True
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=2) as pool:
        done = [pool.submit(demote, first, second), pool.submit(demote, second, first)]
        assert sorted(future.result(timeout=20) for future in done) == [False, True]
    assert User.objects.filter(roles__contains=[Role.ADMINISTRATOR]).count() == 1


CHANGES: list[tuple[str, Callable[[Actor, User], Any]]] = [
    ("active", lambda by, user: workflow.set_active(user.pk, False, by=by)),
    ("second factor", lambda by, user: workflow.reset_second_factor(user.pk, by=by)),
    ("rule", lambda by, user: workflow.require_second_factor(Role.AGENT, True, by=by)),
    ("team", lambda by, user: workflow.choose_intake_team(make_team().pk, by=by)),
    ("key", lambda by, user: workflow.issue_key(make_shop_client().pk, name="x", by=by)),
    ("revoke", lambda by, user: workflow.revoke_key("none", by=by)),
    ("client", lambda by, user: workflow.set_client_active(make_shop_client().pk, False, by=by)),
    ("user", lambda by, user: workflow.create_user(by=by, username="x", staff_number="X1")),
]


@db
@pytest.mark.parametrize(("name", "change"), CHANGES, ids=[name for name, _ in CHANGES])
def test_it_refuses_managers_what_is_the_administrators(
    name: str, change: Callable[[Actor, User], Any]
) -> None:
    intake_team()
    with pytest.raises(errors.NotAllowed):
        change(actors.staff(make_user(Role.MANAGER)), make_user())
    assert not AccountEvent.objects.exists()
    assert not RoleRequirement.objects.exists()


@db
class TestUsers:
    def test_it_creates_an_account_without_a_password(self, administrator: Actor) -> None:
        user = workflow.create_user(
            by=administrator, username="li", staff_number="S900", display_name="李", roles=["agent"]
        )
        assert not user.has_usable_password()
        assert AccountEvent.objects.get(user=user).params == {"roles": ["agent"]}

    @pytest.mark.parametrize(
        "field", [{"username": "LI"}, {"staff_number": "s900"}, {"email": "LI@example.com"}]
    )
    def test_it_refuses_what_differs_in_case_only(
        self, administrator: Actor, field: dict[str, str]
    ) -> None:
        first = {"username": "li", "staff_number": "S900", "email": "li@example.com"}
        second = {"username": "wu", "staff_number": "S901", "email": "wu@example.com"}
        workflow.create_user(by=administrator, display_name="李", **first)
        with pytest.raises(ValidationError):
            workflow.create_user(by=administrator, display_name="吴", **second | field)

    def test_it_writes_down_who_was_let_in_and_kept_out(self, administrator: Actor) -> None:
        user = make_user()
        for active in (False, False, True):
            workflow.set_active(user.pk, active, by=administrator)
        assert list(AccountEvent.objects.order_by("pk").values_list("event", flat=True)) == [
            "account.disabled",
            "account.enabled",
        ]

    def test_it_keeps_nobody_out_of_their_own_account(self, administrator: Actor) -> None:
        assert administrator.user is not None
        with pytest.raises(errors.NotAllowed):
            workflow.set_active(administrator.user.pk, False, by=administrator)


@db
class TestKeys:
    def test_it_tells_the_secret_once_and_keeps_a_hash(self, administrator: Actor) -> None:
        client = make_shop_client()
        key, secret = workflow.issue_key(client.pk, name="till", by=administrator)
        assert key.is_valid(secret)
        assert AccountEvent.objects.get(client=client).params == {"prefix": key.prefix}

    def test_it_does_not_take_a_revocation_back(self, administrator: Actor) -> None:
        key, _secret = workflow.issue_key(make_shop_client().pk, name="till", by=administrator)
        workflow.revoke_key(key.pk, by=administrator)
        row = ApiKey.objects.get(pk=key.pk)
        row.revoked = False
        with pytest.raises(ValidationError):
            row.save(update_fields=["revoked"])


@db
def test_it_moves_the_intake_from_team_to_team(administrator: Actor) -> None:
    old, new = intake_team(), make_team()
    workflow.choose_intake_team(new.pk, by=administrator)
    assert list(Team.objects.filter(is_intake=True)) == [new]
    old.refresh_from_db()
    assert not old.is_intake


@db
@pytest.mark.parametrize("change", ["update", "delete"])
def test_it_keeps_the_trail_as_it_was_written(administrator: Actor, change: str) -> None:
    user = make_user()
    workflow.set_active(user.pk, False, by=administrator)
    rows = AccountEvent.objects.filter(user=user)
    with pytest.raises(InternalError), transaction.atomic():
        rows.update(event="nothing") if change == "update" else rows.delete()
    assert rows.get().event == "account.disabled"
