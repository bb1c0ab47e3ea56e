"""The child processes of one run: their own session, their end, and their restart.

Three rules, each from something that went wrong when tried:

- Every child gets its own session, so that Ctrl-C in the terminal reaches the launcher alone and
  the launcher ends them in order.
- On Linux a child is told to end when the launcher dies, even by ``kill -9``. Elsewhere the next
  start ends what the last one left; it knows them by pid *and* start time, so that a pid that now
  belongs to somebody else is never touched.
- Children are started from the main thread only: the kernel ties that promise to the *thread*.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PR_SET_PDEATHSIG = 1
LINUX = sys.platform.startswith("linux")
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None

# A child that dies more often than this within a minute is broken, not unlucky.
RESTARTS_PER_MINUTE = 5
PATIENCE_SECONDS = 15.0


class LocalError(Exception):
    """Something that the person at the terminal can mend; the text says how."""


def say(text: str) -> None:
    """One line for the person at the terminal, at once."""
    print(text, flush=True)


def unprivileged_user() -> pwd.struct_passwd | None:
    """``nobody`` when we are root, as whom PostgreSQL refuses to run; else None."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def before_exec(user: pwd.struct_passwd | None, death: signal.Signals) -> Callable[[], None]:
    """What a child does between fork and exec: drop root, then tie its life to ours."""
    parent = os.getpid()

    def prepare() -> None:
        if user is not None:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        if _libc is not None:
            # After setuid: a change of user clears the setting.
            _libc.prctl(PR_SET_PDEATHSIG, int(death), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def end_with_parent() -> None:
    """End by SIGTERM when whoever started us (``make``) dies, even by ``kill -9``."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def started_at(pid: int) -> str | None:
    """When the process with this pid began, as text to compare; None if there is none."""
    if LINUX:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    result = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() or None


class Lock:
    """One run per folder; the kernel releases it however the holder ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises LocalError, naming the holder, when another run has it."""
        file = self.path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise LocalError(
                f"The portal already runs from this folder (process {holder}). "
                "Stop it with Ctrl-C there."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True)
class Command:
    """How one child is started and stopped."""

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str]
    cwd: Path
    stop_signal: signal.Signals = signal.SIGTERM
    user: pwd.struct_passwd | None = None


@dataclass
class Child:
    command: Command
    process: subprocess.Popen[bytes]
    restarts: list[float] = field(default_factory=list)


class Run:
    """The children of one run, in the order of their start; ended in the opposite order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "log"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._children: list[Child] = []
        self._register = folder / "children.json"

    def __enter__(self) -> Self:
        self.end_leftovers()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def start(self, command: Command) -> Child:
        """Start a child; its output goes to its own log, the previous run's log is kept once."""
        log = self.log_of(command.name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        child = Child(command, self._spawn(command))
        self._children.append(child)
        self._write_register()
        return child

    def forget(self, child: Child) -> None:
        """A child that has done its work and ended is no longer watched."""
        self._children.remove(child)
        self._write_register()

    def _spawn(self, command: Command) -> subprocess.Popen[bytes]:
        with self.log_of(command.name).open("ab") as log:
            return subprocess.Popen(
                [str(part) for part in command.argv],
                env=dict(command.env),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=before_exec(command.user, command.stop_signal),
            )

    def _write_register(self) -> None:
        rows = [
            {
                "name": child.command.name,
                "pid": child.process.pid,
                "started": started_at(child.process.pid),
                "signal": int(child.command.stop_signal),
            }
            for child in self._children
        ]
        partial = self._register.with_suffix(".new")
        partial.write_text(json.dumps(rows, indent=1))
        partial.replace(self._register)

    def end_leftovers(self) -> None:
        """End the children of an earlier run whose launcher was killed, and wait for it."""
        try:
            rows = json.loads(self._register.read_text())
        except (OSError, ValueError):
            return
        alive = [row for row in rows if row["started"] and started_at(row["pid"]) == row["started"]]
        if not alive:
            return
        say(
            "Waiting for the processes of the last run to end: "
            + ", ".join(row["name"] for row in alive)
        )
        for row in reversed(alive):
            _send(row["pid"], signal.Signals(row["signal"]))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while alive := [row for row in alive if started_at(row["pid"]) == row["started"]]:
            if time.monotonic() > deadline:
                for row in alive:
                    _kill_session(row["pid"])
                deadline += PATIENCE_SECONDS
            time.sleep(0.05)

    def is_alive(self, name: str) -> bool:
        return any(c.command.name == name and c.process.poll() is None for c in self._children)

    def require_alive(self) -> None:
        """Raises LocalError, with the end of its log, for the first child that has ended."""
        for child in self._children:
            if child.process.poll() is not None:
                raise LocalError(self.obituary(child))

    def restart_dead(self) -> None:
        """Start again whatever has died, and say so. Raises LocalError if it keeps dying."""
        for child in self._children:
            if child.process.poll() is None:
                continue
            now = time.monotonic()
            child.restarts = [moment for moment in child.restarts if moment > now - 60] + [now]
            if len(child.restarts) > RESTARTS_PER_MINUTE:
                raise LocalError(self.obituary(child))
            say(
                f"{child.command.name} ended ({_cause(child.process.returncode)}); "
                f"it is started again. Its log: {self.log_of(child.command.name)}"
            )
            # A killed PostgreSQL, say, refuses a successor until the last of its processes is gone.
            time.sleep(2 ** (len(child.restarts) - 1) - 1)
            child.process = self._spawn(child.command)
            self._write_register()

    def obituary(self, child: Child) -> str:
        log = self.log_of(child.command.name)
        lines = log.read_text(errors="replace").splitlines()[-20:]
        cause = _cause(child.process.returncode)
        return "\n".join([f"{child.command.name} ended ({cause}). The end of {log}:", *lines])

    def stop(self) -> None:
        """End all children, the last started first; what does not end in time is killed."""
        while self._children:
            child = self._children[-1]
            stop(child.process, child.command.stop_signal)
            self._children.pop()
        self._register.unlink(missing_ok=True)


def stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Ask a child to end; kill its whole session if it has not within the patience."""
    if process.poll() is None:
        _send(process.pid, how)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            _kill_session(process.pid)
            process.wait()


def _send(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)


def _kill_session(pid: int) -> None:
    """Every child leads its own session, so this reaches its own children too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"exit code {code}"
