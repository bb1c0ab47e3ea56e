import pytest
from django.test import Client
from django.urls import reverse

from aftersales.accounts import actors
from aftersales.accounts.models import Role
from aftersales.common import errors
from aftersales.messaging import dead_letters, outbox
from aftersales.messaging.models import Outbox
from tests.factories import make_user, staff_actor
from tests.messaging.rows import NOW

pytestmark = pytest.mark.django_db


def dead(key: str = "k") -> Outbox:
    row = outbox.write("mail", key, {}, now=NOW)
    Outbox.objects.filter(id=row.id).update(dead_at=NOW, attempts=10, last_error="HTTP 500")
    return row


def test_it_starts_all_over_with_the_same_message_id() -> None:
    row = dead()
    again = dead_letters.replay(row.id, by=staff_actor(Role.ADMINISTRATOR))
    assert (again.dead_at, again.attempts, again.message_id) == (None, 0, row.message_id)
    assert Outbox.objects.pending().get().available_at > NOW


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMINISTRATOR])
def test_it_is_the_administrators_to_do(role: Role) -> None:
    row = dead()
    with pytest.raises(errors.NotAllowed):
        dead_letters.replay(row.id, by=staff_actor(role))
    assert Outbox.objects.dead().count() == 1


def test_it_is_not_the_systems_or_a_customers_to_do() -> None:
    for actor in (actors.SYSTEM, actors.customer(1)):
        with pytest.raises(errors.NotAllowed):
            dead_letters.replay(dead().id, by=actor)


def test_it_replays_only_what_is_dead() -> None:
    row, by = outbox.write("mail", "k", {}), staff_actor(Role.ADMINISTRATOR)
    with pytest.raises(errors.WrongState):
        dead_letters.replay(row.id, by=by)
    with pytest.raises(errors.NotVisible):
        dead_letters.replay(0, by=by)


def refuse(number: int, *, by: actors.Actor) -> Outbox:
    raise errors.NotVisible


def test_it_is_a_button_in_the_admin(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.force_login(make_user(Role.ADMINISTRATOR))
    rows = [dead("a"), dead("b")]
    pending = outbox.write("mail", "c", {})
    url = reverse("admin:messaging_outbox_changelist")
    page = client.get(url)
    assert page.status_code == 200
    assert [row.id for row in page.context["cl"].queryset] == [row.id for row in rows]
    client.post(url, {"action": "replay", "_selected_action": [row.id for row in rows]})
    assert Outbox.objects.dead().count() == 0
    assert client.get(url, {"state": "pending"}).context["cl"].queryset.count() == 3
    Outbox.objects.update(dead_at=NOW)
    raced = {"action": "replay", "_selected_action": [rows[0].id]}
    with monkeypatch.context() as patch:
        patch.setattr(dead_letters, "replay", refuse)
        page = client.post(url, raced, follow=True)
    assert str(errors.NotVisible.detail) in [str(text) for text in page.context["messages"]]
    detail = reverse("admin:messaging_outbox_change", args=[pending.id])
    assert client.post(detail, {"topic": "x"}).status_code == 403
    assert client.post(reverse("admin:messaging_outbox_add")).status_code == 403


def test_it_is_closed_to_everybody_else(client: Client) -> None:
    client.force_login(make_user(Role.MANAGER))
    assert client.get(reverse("admin:messaging_outbox_changelist")).status_code == 302
