"""``make demo`` in a folder of its own: stopped, killed, crippled, twice at once."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from aftersales.local import environment, processes

pytestmark = [pytest.mark.faults, pytest.mark.timeout(200)]

ROOT = environment.ROOT
PATIENCE = 90.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
        return number


class Demo:
    """The launcher in one checkout; started and ended any number of times."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.output = folder / "output"

    def start(self) -> None:
        fixed = (*environment.TEST_VALUES, "DJANGO_SETTINGS_MODULE", "PYTEST_XDIST_WORKER")
        kept = {name: value for name, value in os.environ.items() if name not in fixed}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "aftersales.local", "demo"],
                cwd=self.folder,
                env={**kept, "PORT": str(self.port)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.said:
            assert self.process is not None
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    @property
    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def end(self, how: signal.Signals) -> int:
        """Signal the launcher alone, and wait for it and for all that it started."""
        assert self.process is not None
        children = self.children()
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while any(processes.started_at(pid) for pid in children.values()):
            assert time.monotonic() < deadline, "some of its processes live on"
            time.sleep(0.05)
        return code

    def children(self) -> dict[str, int]:
        try:
            rows = json.loads((self.folder / ".local" / "run" / "children.json").read_text())
        except FileNotFoundError:
            return {}
        return {row["name"]: row["pid"] for row in rows}

    def wait_until_ready(self) -> None:
        """Raises AssertionError with the readiness check's own words if it never says yes."""
        deadline = time.monotonic() + PATIENCE
        while (answer := self.answer()) is not None:
            assert time.monotonic() < deadline, f"{answer}\n{self.said}"
            time.sleep(0.2)

    def answer(self) -> str | None:
        """What speaks against being ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=5):
                return None
        except urllib.error.HTTPError as error:
            return error.read().decode(errors="replace")
        except OSError as error:
            return str(error)

    @property
    def keys(self) -> str:
        return environment.read(self.folder / ".local" / "env")["PERSONAL_DATA_KEYS"]

    def second_start(self) -> str:
        """What a second launcher in the same folder says before it gives up."""
        result = subprocess.run(
            [sys.executable, "-m", "aftersales.local", "demo"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode != 0
        return result.stderr

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        address = environment.read(self.folder / ".local" / "env")["DATABASE_URL"]
        found = re.fullmatch(r"postgres://(\w+)@/(/.+)/(\w+)", address)
        assert found is not None
        connection = psycopg2.connect(host=found[2], user=found[1], dbname=found[3])
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


@pytest.fixture
def checkouts() -> Iterator[list[Demo]]:
    """Two checkouts, as clones would be, in places that everybody may enter."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    demos = []
    for _ in range(2):
        folder = Path(tempfile.mkdtemp(prefix="aftersales-demo-", dir="/tmp"))
        folder.chmod(0o711)
        for name in filter(None, listing.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        demos.append(Demo(folder))
    yield demos
    for demo in demos:
        if demo.process is not None and demo.process.poll() is None:
            demo.end(signal.SIGTERM)
        shutil.rmtree(demo.folder, ignore_errors=True)


def test_two_demos_live_side_by_side_and_outlive_kills(checkouts: list[Demo]) -> None:
    first, second = checkouts
    for demo in checkouts:
        demo.start()
    for demo in checkouts:
        demo.wait_for("Ready after")
    first.ask("INSERT INTO health_taskrun (name) VALUES ('left before the kill')")
    keys = first.keys
    first.end(signal.SIGKILL)
    second.wait_until_ready()

    first.start()
    for name in ("postgres", "valkey", "worker-sla", "beat", "web"):
        os.kill(second.children()[name], signal.SIGKILL)
        second.wait_for(f"{name} ended (by SIGKILL)")
    second.wait_until_ready()

    first.wait_for("Ready after")
    assert first.ask("SELECT 1 FROM health_taskrun WHERE name = 'left before the kill'") == [(1,)]
    assert first.keys == keys
    assert "already runs from this folder" in first.second_start()
    first.wait_until_ready()

    assert first.end(signal.SIGINT) == 0
    assert "Stopping" in first.said
    assert second.end(signal.SIGTERM) == 0
