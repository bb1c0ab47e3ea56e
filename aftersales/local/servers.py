"""PostgreSQL and Valkey together: started where the environment names no server of its own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aftersales.local import processes
from aftersales.local.postgres import Postgres, is_short_enough, others_may_enter
from aftersales.local.processes import Run
from aftersales.local.valkey import Valkey


@contextmanager
def sockets_folder(run_folder: Path) -> Iterator[Path]:
    """The run's own folder; a short one in /tmp if that is too long, odd, or closed to others."""
    own = run_folder / "sockets"
    closed = processes.unprivileged_user() is not None and not others_may_enter(run_folder)
    if is_short_enough(own) and not closed:
        yield own
        return
    link = run_folder / "sockets-elsewhere"
    if link.is_symlink():  # of a start that was killed
        shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()
    short = Path(tempfile.mkdtemp(prefix="aftersales-", dir="/tmp"))
    link.symlink_to(short)
    try:
        yield short
    finally:
        shutil.rmtree(short, ignore_errors=True)
        link.unlink(missing_ok=True)


def start(run: Run, folder: Path, sockets: Path, *, durable: bool) -> dict[str, str]:
    """Start what DATABASE_URL and REDIS_URL do not name; returns the addresses of the started."""
    addresses: dict[str, str] = {}
    postgres = valkey = None
    if not os.environ.get("DATABASE_URL"):
        for name in [name for name in os.environ if name.startswith("PG")]:
            del os.environ[name]  # the user's own PGPORT would bend our socket's address
        postgres = Postgres(folder / "postgres", sockets=sockets, durable=durable)
        postgres.prepare()
        run.start(postgres.command())
        addresses["DATABASE_URL"] = postgres.url
    if not os.environ.get("REDIS_URL"):
        valkey = Valkey(folder / "valkey", sockets=sockets, durable=durable)
        valkey.prepare()
        run.start(valkey.command())
        addresses["REDIS_URL"] = valkey.url
    if postgres is not None:
        postgres.wait_until_ready(run)
    if valkey is not None:
        valkey.wait_until_ready(run)
    return addresses


@contextmanager
def throwaway() -> Iterator[dict[str, str]]:
    """Servers in a temporary folder, quick and forgetful, gone at the end: for tests and checks."""
    folder = Path(tempfile.mkdtemp(prefix="aftersales-test-", dir="/tmp"))
    folder.chmod(0o711)  # nobody, whom PostgreSQL runs as under root, must pass through
    try:
        with sockets_folder(folder) as sockets, Run(folder / "run") as run:
            yield start(run, folder, sockets, durable=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
