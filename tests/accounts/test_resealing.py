"""Second-factor secrets move to a new key with everything else."""

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.core.management import CommandError, call_command
from pytest_django import Settings

from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_a_rotation_takes_the_second_factors_along(settings: Settings) -> None:
    user = make_user()
    totp = TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    codes = RecoveryCodes.activate(user).get_unused_codes()
    old = settings.PERSONAL_DATA_KEYS
    settings.PERSONAL_DATA_KEYS = {"k9": b"9" * 32, **old}
    with pytest.raises(CommandError, match="left"):
        call_command("rotate_personal_data", "--check")
    call_command("rotate_personal_data")
    call_command("rotate_personal_data", "--check")
    settings.PERSONAL_DATA_KEYS = {"k9": b"9" * 32}
    totp.instance.refresh_from_db()
    assert get_adapter().decrypt(totp.instance.data["secret"]) == "JBSWY3DPEHPK3PXP"
    again = RecoveryCodes(Authenticator.objects.get(user=user, type="recovery_codes"))
    assert again.get_unused_codes() == codes
