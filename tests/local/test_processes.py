"""Children end in order, end with the launcher, and are told from strangers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aftersales.local import processes
from aftersales.local.processes import Command, LocalError, Lock, Run

ROOT = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def shell(name: str, script: str, folder: Path) -> Command:
    return Command(name, ["/bin/sh", "-c", script], {"PATH": os.environ["PATH"]}, folder)


def lasting(name: str, folder: Path, farewell: str = "") -> Command:
    """A child that says when it is up, and writes its farewell when it is asked to end."""
    script = (
        f"trap 'echo {farewell or name} >> farewells; exit 0' TERM;"
        f" touch {name}.up; while :; do sleep 0.02; done"
    )
    return shell(name, script, folder)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run(tmp_path) as run:
        yield run


def test_it_ends_the_last_started_first(run: Run, tmp_path: Path) -> None:
    for name in ("postgres", "worker", "beat"):
        run.start(lasting(name, tmp_path))
        until((tmp_path / f"{name}.up").exists)
    run.stop()
    assert (tmp_path / "farewells").read_text().split() == ["beat", "worker", "postgres"]
    assert not (tmp_path / "children.json").exists()


def test_it_kills_what_does_not_end_in_time(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PATIENCE_SECONDS", 0.1)
    child = run.start(shell("deaf", "trap '' TERM; touch up; sleep 60 & wait; sleep 60", tmp_path))
    until((tmp_path / "up").exists)
    run.stop()
    assert child.process.returncode == -signal.SIGKILL


def test_it_starts_a_dead_child_again_and_says_so(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = run.start(lasting("worker", tmp_path))
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    child.process.wait()
    run.restart_dead()
    assert child.process.pid != first
    assert run.is_alive("worker")
    assert "worker ended (by SIGKILL)" in capsys.readouterr().out


def test_it_gives_up_on_a_child_that_keeps_dying_and_shows_its_log(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    child = run.start(shell("web", "echo no such module >&2; exit 3", tmp_path))

    def die_for_ever() -> None:
        for _ in range(processes.RESTARTS_PER_MINUTE + 1):
            child.process.wait()
            run.restart_dead()

    with pytest.raises(LocalError, match=r"(?s)web ended \(exit code 3\).*no such module"):
        die_for_ever()


LAUNCHER = """
import sys, time
from pathlib import Path
from aftersales.local.processes import Command, Run
folder = Path(sys.argv[1])
with Run(folder) as run:
    run.start(Command("child", ["/bin/sh", "-c", "touch up; exec sleep 60"], {}, folder))
    time.sleep(60)
"""


def killed_launcher(folder: Path) -> int:
    """Start a launcher with one child, kill the launcher, return the child's pid."""
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, str(folder)], cwd=ROOT)
    until((folder / "up").exists)
    (row,) = json.loads((folder / "children.json").read_text())
    launcher.kill()
    launcher.wait()
    pid: int = row["pid"]
    return pid


@pytest.mark.skipif(not processes.LINUX, reason="the kernel's promise is Linux's own")
def test_it_takes_its_children_along_when_it_is_killed(tmp_path: Path) -> None:
    pid = killed_launcher(tmp_path)
    until(lambda: processes.started_at(pid) is None)


def test_it_ends_what_a_killed_launcher_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = subprocess.Popen(["sleep", "60"], start_new_session=True)
    remember(tmp_path, left.pid, processes.started_at(left.pid))
    Run(tmp_path).end_leftovers()
    assert left.wait() == -signal.SIGTERM


def test_it_kills_a_left_process_that_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PATIENCE_SECONDS", 0.1)
    script = f"trap '' TERM; touch {tmp_path}/deaf; while :; do sleep 0.02; done"
    left = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True)
    until((tmp_path / "deaf").exists)
    remember(tmp_path, left.pid, processes.started_at(left.pid))
    Run(tmp_path).end_leftovers()
    assert left.wait() == -signal.SIGKILL


def test_it_never_touches_a_stranger_that_has_the_pid_now(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        remember(tmp_path, stranger.pid, "started at some other time")
        Run(tmp_path).end_leftovers()
        with pytest.raises(subprocess.TimeoutExpired):
            stranger.wait(0.2)
    finally:
        stranger.kill()
        stranger.wait()


def remember(folder: Path, pid: int, started: str | None) -> None:
    row = {"name": "old", "pid": pid, "started": started, "signal": int(signal.SIGTERM)}
    (folder / "children.json").write_text(json.dumps([row]))


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_it_starts_with_a_register_that_a_crash_has_spoilt(tmp_path: Path, content: str) -> None:
    (tmp_path / "children.json").write_text(content)
    with Run(tmp_path):
        pass


def test_it_runs_once_in_a_folder(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.take()
    with pytest.raises(LocalError, match=f"process {os.getpid()}"):
        second.take()
    first.release()
    second.take()
    second.release()


def test_it_keeps_the_log_of_the_run_before(run: Run, tmp_path: Path) -> None:
    for word in ("first", "second"):
        child = run.start(shell("step", f"echo {word}", tmp_path))
        child.process.wait()
        run.forget(child)
    assert run.log_of("step").read_text() == "second\n"
    assert (run.logs / "step.log.1").read_text() == "first\n"
