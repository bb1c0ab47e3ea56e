"""The demo's keys are made once, kept closed, and readable by the settings."""

import re
import stat
import subprocess
import sys
from pathlib import Path

from aftersales.local import environment


def test_it_makes_keys_once_and_keeps_them(tmp_path: Path) -> None:
    first = environment.demo_values(tmp_path, {"BASE_URL": "http://localhost:8000"})
    second = environment.demo_values(tmp_path, {"BASE_URL": "http://localhost:9000"})
    for name in environment.fresh_keys():
        assert first[name] == second[name]
    assert second["BASE_URL"] == "http://localhost:9000"


def test_it_makes_other_keys_for_another_folder(tmp_path: Path) -> None:
    assert environment.fresh_keys() != environment.fresh_keys()


def test_it_lets_nobody_else_read_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("")
    path.chmod(0o644)
    environment.demo_values(tmp_path, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_keeps_a_line_that_somebody_added(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# mine\nLOG_LEVEL=DEBUG\n")
    assert environment.demo_values(tmp_path, {})["LOG_LEVEL"] == "DEBUG"


def test_it_writes_what_the_settings_accept(tmp_path: Path) -> None:
    values = environment.demo_values(
        tmp_path,
        {
            "DATABASE_URL": "postgres://portal@//tmp/sockets/portal",
            "REDIS_URL": "unix:///tmp/valkey.sock?db=0",
            "EMAIL_URL": f"filemail:///{tmp_path}/mail box",
        },
    )
    show = (
        "from django.conf import settings as s;"
        "print(s.DATABASES['default']['HOST'], s.CELERY_BROKER_URL, s.EMAIL_FILE_PATH,"
        " len(s.PERSONAL_DATA_KEYS['k1']), len(s.BLIND_INDEX_KEY['b1']), len(s.LINK_KEYS['l1']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", show],
        cwd=environment.ROOT,
        env={**values, "DJANGO_SETTINGS_MODULE": "aftersales.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == (
        "/tmp/sockets redis+socket:///tmp/valkey.sock?virtual_host=0"  # noqa: S108
        f" {tmp_path}/mail box 32 32 32"
    )


def test_it_explains_every_variable_in_the_readme() -> None:
    code = "".join(
        (environment.ROOT / "aftersales" / name).read_text()
        for name in ("settings.py", "webserver.py")
    )
    read = set(re.findall(r'(?:env\.\w+|keyring|environ\.get)\(\s*"([A-Z_]+)"', code))
    table = {
        name
        for line in (environment.ROOT / "README.md").read_text().splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([A-Z_]{5,})`", line.split("|")[1])
    }
    assert len(read) > 20
    assert read == table
