"""``make demo``: the whole portal on one machine, from servers to beat, until Ctrl-C."""

import json
import os
import re
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import NoReturn

from aftersales.celery import SCHEDULE
from aftersales.local import environment, messages, processes, servers
from aftersales.local.processes import Command, LocalError, Lock, Run, say

ROOT = environment.ROOT
LOCAL = ROOT / ".local"
HOST = "127.0.0.1"
DEFAULT_PORT = 8000
READY_WITHIN_SECONDS = 90


def port() -> int:
    """PORT, or 8000. Raises LocalError unless it is a port's number."""
    text = os.environ.get("PORT") or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise LocalError(f"PORT is {text!r}; it must be a number from 1 to 65535.")
    return int(text)


def require_free(number: int) -> None:
    """Raises LocalError, naming a way out, unless the port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except PermissionError as error:
            raise LocalError(
                f"You may not open port {number}. Choose one from 1024: make demo PORT=8001"
            ) from error
        except OSError as error:
            raise LocalError(
                f"Port {number} is taken. Choose another: make demo PORT={number + 1}"
            ) from error


def run_folder() -> Path:
    """``.local/run``, closed to others but for the way of PostgreSQL's user to its data."""
    LOCAL.mkdir(exist_ok=True)
    LOCAL.chmod(0o711 if processes.unprivileged_user() else 0o700)
    folder = LOCAL / "run"
    folder.mkdir(exist_ok=True)
    return folder


def python(*arguments: str) -> list[str | Path]:
    return [sys.executable, *arguments]


def application(name: str, arguments: list[str | Path], values: Mapping[str, str]) -> Command:
    return Command(
        name, arguments, {**values, "DJANGO_SETTINGS_MODULE": "aftersales.settings"}, ROOT
    )


def portal(number: int, values: Mapping[str, str], folder: Path) -> list[Command]:
    """Web, workers and beat, as docker-compose.yml starts them too."""
    celery = ("-m", "celery", "--quiet", "-A", "aftersales")
    quiet = ("--without-gossip", "--without-mingle", "--pool", "threads")
    lanes = {"sla": ("sla", "2"), "mail": ("mail", "4"), "default": ("default", "2")}
    web = python(
        *("-m", "gunicorn", "aftersales.wsgi", "--config", "python:aftersales.webserver"),
        *("--bind", f"{HOST}:{number}", "--graceful-timeout", "3"),
    )
    beat = python(*celery, "beat", "--schedule", str(folder / "beat-schedule"), "--pidfile=")
    return [
        application("web", web, values),
        *(
            application(
                f"worker-{lane}",
                python(
                    *celery, "worker", *quiet, "-Q", queue, "-c", size, "-n", f"{lane}-{number}@%h"
                ),
                values,
            )
            for lane, (queue, size) in lanes.items()
        ),
        application("beat", beat, values),
    ]


def step(run: Run, name: str, arguments: list[str | Path], values: Mapping[str, str]) -> None:
    """Run a command to its end, with a sign of life; raises LocalError with its log if it fails."""
    began = spoke = time.monotonic()
    child = run.start(application(name, arguments, values))
    while child.process.poll() is None:
        if time.monotonic() - spoke > 3:
            spoke = time.monotonic()
            say(f"  still at it, {spoke - began:.0f} s")
        time.sleep(0.05)
    run.forget(child)
    if child.process.returncode != 0:
        raise LocalError(run.obituary(child))


def wait_until_ready(run: Run, address: str) -> None:
    """Until the readiness check says yes and every worker has done a task of beat's.

    Raises LocalError with the last answer after a while, or as soon as a process has ended.
    """
    began = spoke = time.monotonic()
    started = time.time()
    answer = "no answer"
    while time.monotonic() - began < READY_WITHIN_SECONDS:
        run.require_alive()
        try:
            answer = read(f"{address}/health/ready")
            idle = tasks_without_success_since(started, read(f"{address}/metrics"))
            if not idle:
                return
            answer = "these tasks have not run yet: " + ", ".join(sorted(idle))
        except urllib.error.HTTPError as error:
            answer = error.read().decode(errors="replace")
        except OSError as error:
            answer = str(error)
        if time.monotonic() - spoke > 3:
            spoke = time.monotonic()
            say(f"  waiting for the portal, {spoke - began:.0f} s")
        time.sleep(0.2)
    raise LocalError(
        f"The portal did not become ready. Its last answer: {answer}\nLogs: {run.logs}"
    )


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own server
        text: str = answer.read().decode()
        return text


def tasks_without_success_since(moment: float, figures: str) -> set[str]:
    """The tasks that run every few seconds but have no success since the moment, by /metrics."""
    line = re.compile(r'aftersales_task_last_success_timestamp_seconds\{task="([^"]+)"\} (\S+)')
    done = {task for task, success in line.findall(figures) if float(success) >= moment}
    return {task for task, seconds, _ in SCHEDULE.values() if seconds <= 5} - done


def introduce(address: str) -> None:
    """The address and one sign-in per role, from what load_demo wrote."""
    say(f"\nThe portal is ready: {address}\n")
    facts = json.loads((LOCAL / "demo.json").read_text())
    first = {account["role"]: account for account in reversed(facts["accounts"])}
    for role, account in reversed(first.items()):
        say(f"  {role:<14} {account['username']:<14} {account['password']}")
    say(f"  {'customer':<14} {facts['customer']['link']}")
    say(
        "\nAPI keys are in .local/demo.json, mails in .local/mail, logs in .local/run/log. "
        "Ctrl-C stops everything."
    )


def raise_on_signals() -> None:
    """Ctrl-C and SIGTERM end the run once, in order; further ones do not disturb the ending."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def with_servers(
    work: Callable[[Run, dict[str, str]], None],
    addresses: Mapping[str, str],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Lock the folder, check, start the servers, write ``.local/env``, work, stop everything.

    The check runs after what a killed run left has ended: it may hold our port until then.
    """
    raise_on_signals()
    folder = run_folder()
    lock = Lock(folder / "lock")
    lock.take()
    try:
        with servers.sockets_folder(folder) as sockets, Run(folder) as run:
            check()
            say("Starting the databases")
            try:
                started = servers.start(run, LOCAL, sockets, durable=True)
                values = environment.demo_values(LOCAL, {**addresses, **started})
                work(
                    run, {**values, **{name: value for name, value in os.environ.items() if value}}
                )
            except KeyboardInterrupt:
                pass
            finally:
                say("\nStopping")
    finally:
        lock.release()


def demo() -> None:
    """Everything up, introduced, and kept up until it is told to stop."""
    number = port()
    address = f"http://localhost:{number}"
    began = time.monotonic()

    def work(run: Run, values: dict[str, str]) -> None:
        messages.compile_all()
        say("Bringing the database up to date")
        step(run, "migrate", python("manage.py", "migrate", "--noinput"), values)
        say("Loading the profile and the demo data")
        step(run, "load_demo", python("manage.py", "load_demo"), values)
        say("Starting web, workers and beat")
        for command in portal(number, values, run.folder):
            run.start(command)
        wait_until_ready(run, f"http://{HOST}:{number}")
        introduce(address)
        say(f"Ready after {time.monotonic() - began:.0f} s.")
        keep_up(run)

    with_servers(work, demo_addresses(address), lambda: require_free(number))


def demo_addresses(address: str) -> dict[str, str]:
    return {
        "BASE_URL": address,
        "EMAIL_URL": f"filemail:///{LOCAL / 'mail'}",
        "STATIC_FROM_SOURCE": "true",
    }


def only_servers() -> None:
    """The databases alone, for work on the code; the addresses are in ``.local/env``."""

    def work(run: Run, values: dict[str, str]) -> None:
        say(f"DATABASE_URL={values['DATABASE_URL']}\nREDIS_URL={values['REDIS_URL']}")
        say("Commands of manage.py find them in .local/env. Ctrl-C stops them.")
        keep_up(run)

    with_servers(work, demo_addresses(f"http://localhost:{DEFAULT_PORT}"))


def keep_up(run: Run) -> NoReturn:
    while True:
        run.restart_dead()
        time.sleep(0.5)
