"""The test run's own servers and values."""

import os

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection

from aftersales.local import environment


@pytest.mark.django_db
def test_it_gives_a_database_that_sorts_and_searches_chinese() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT datlocprovider, datcollate, datctype, pg_encoding_to_char(encoding)"
            " FROM pg_database WHERE datname = current_database()"
        )
        assert cursor.fetchone() == ("b", "C", "C.UTF-8", "UTF8")


def test_it_gives_a_broker_that_never_drops_what_it_was_given() -> None:
    cache.set("probe", "there")
    assert cache.get("probe") == "there"


def test_it_fixes_every_value_that_a_demo_in_the_same_folder_could_leak() -> None:
    written = {
        *environment.fresh_keys(),
        "DATABASE_URL",
        "REDIS_URL",
        "BASE_URL",
        "EMAIL_URL",
        "STATIC_FROM_SOURCE",
    }
    assert written <= environment.TEST_VALUES.keys()
    assert written <= os.environ.keys()


def test_it_hashes_passwords_quickly_and_keeps_files_out_of_the_checkout() -> None:
    assert settings.PASSWORD_HASHERS == ["django.contrib.auth.hashers.MD5PasswordHasher"]
    assert not settings.MEDIA_ROOT.is_relative_to(settings.BASE_DIR)
