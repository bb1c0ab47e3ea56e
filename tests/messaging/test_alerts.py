"""Managers hear of unusual looks at personal data, each once."""

import pytest
from django.utils import translation

from aftersales.accounts.models import Role
from aftersales.customers import grants
from aftersales.messaging import alerts, notices
from aftersales.messaging.models import Notice
from tests.factories import make_contact, make_user, staff_actor

pytestmark = pytest.mark.django_db


def test_every_manager_is_told_once_of_a_broken_glass() -> None:
    reader, other, agent = staff_actor(Role.MANAGER), make_user(Role.MANAGER), make_user()
    contact = make_contact()
    grants.break_glass(
        contact_id=contact.pk,
        case_ref="GZ1",
        fields=["phone"],
        reason="The customer is in danger.",
        by=reader,
    )
    assert alerts.tell_managers() == 1
    assert alerts.tell_managers() == 0
    assert reader.user is not None
    assert Notice.objects.filter(user=agent).count() == 0
    for manager in (reader.user, other):
        notice = notices.list_for(manager).get()
        told = {"en": " opened personal data", "zh-hans": " 凭书面理由查看了"}
        for language, begins in told.items():
            with translation.override(language):
                assert notices.text_of(notice).startswith(reader.user.staff_number + begins)


def test_nothing_is_told_when_the_telling_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = staff_actor(Role.MANAGER)
    grants.break_glass(
        contact_id=make_contact().pk,
        case_ref="GZ1",
        fields=["phone"],
        reason="The customer is in danger.",
        by=reader,
    )
    with monkeypatch.context() as broken:
        broken.setattr(alerts, "EVENT", None)
        with pytest.raises(AttributeError):
            alerts.tell_managers()
    assert alerts.tell_managers() == 1
