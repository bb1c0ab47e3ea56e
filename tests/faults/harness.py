"""A portal that may be broken: servers of its own, real processes, and waits.

Nothing here ends a process that it did not start, and every wait has an end.
"""

import dataclasses
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import redis
from django.core.management import call_command
from django.db import connection, connections

from aftersales.celery import app
from aftersales.local import demo, servers
from aftersales.local.postgres import DATABASE, ROLE, Postgres
from aftersales.local.processes import Child, Run
from aftersales.local.valkey import Valkey
from tests.faults.forks import Forks
from tickets.clocks import calendars, policies

PATIENCE = 60.0
GLANCE = 0.001  # between two looks at something that is over within milliseconds
TEMPLATE = "template"


def until(
    condition: Callable[[], Any], what: str, *, seconds: float = PATIENCE, every: float = 0.05
) -> Any:
    """The first true answer. Raises AssertionError when it has not come in time."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"After {seconds:g} s there is still no sign of: {what}"
        time.sleep(every)


def value(sql: str, *params: Any) -> Any:
    """The one value that a query answers, on the test's own connection."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
    return row[0] if row else None


def forget() -> None:
    """What this process knows of the database it was at: connections, rows that never change."""
    connections.close_all()
    policies.policy.cache_clear()
    calendars.calendar.cache_clear()
    calendars.endless_calendar.cache_clear()


# --- servers -------------------------------------------------------------------------------------


class Ground:
    """PostgreSQL and a broker of our own, both to be killed; one database for each test."""

    def __init__(self, run: Run, folder: Path, sockets: Path) -> None:
        self.run, self.folder = run, folder
        self.postgres = Postgres(folder / "postgres", sockets=sockets, durable=False)
        self.valkey = Valkey(folder / "valkey", sockets=sockets, durable=True)
        self.postgres.prepare()
        self.valkey.prepare()
        self._children: dict[str, Child] = {}
        self._databases = 0
        self.start_postgres()
        self.start_broker()

    def start_postgres(self) -> None:
        command = self.postgres.command()
        # Without fsync it is as quick as in other tests; what it has confirmed must outlive its
        # own death all the same.
        argv = [*command.argv, "-c", "synchronous_commit=on"]
        self._children["postgres"] = self.run.start(dataclasses.replace(command, argv=argv))
        self.postgres.wait_until_ready(self.run)

    def crash_postgres(self) -> None:
        """The immediate shutdown: no farewell, no checkpoint, recovery at the next start."""
        child = self._children.pop("postgres")
        os.kill(child.process.pid, signal.SIGQUIT)
        child.process.wait(PATIENCE)
        self.run.forget(child)
        connections.close_all()

    def start_broker(self) -> None:
        self._children["valkey"] = self.run.start(self.valkey.command())
        self.valkey.wait_until_ready(self.run)

    def kill_broker(self) -> None:
        child = self._children.pop("valkey")
        kill_group(child)
        self.run.forget(child)

    def flush_broker(self) -> int:
        """Everything in it is gone; returns how many messages waited in its queues."""
        with redis.Redis.from_url(self.valkey.url) as client:
            lost = sum(int(client.llen(queue.name)) for queue in app.conf.task_queues)
            client.flushall()
        return lost

    def end(self) -> None:
        """Nothing is worth a careful shutdown."""
        for name in list(self._children):
            if name == "postgres":
                self.crash_postgres()
            else:
                self.kill_broker()

    def mend(self) -> None:
        """Both servers up and the broker empty, whatever the last test did to them."""
        if "postgres" not in self._children:
            self.start_postgres()
        if "valkey" not in self._children:
            self.start_broker()
        self.flush_broker()

    @contextmanager
    def database(self, name: str) -> Iterator[None]:
        """This process's connections lead to the database ``name`` within the block."""
        place = connections.databases["default"]
        before = dict(place)
        address = {"NAME": name, "USER": ROLE, "HOST": str(self.postgres.sockets), "PORT": ""}
        try:
            forget()
            place.update(address, PASSWORD="")
            yield
        finally:
            forget()
            place.update(before)

    def make_template(self, fill: Callable[[], None]) -> None:
        """The database that every test starts with a copy of: migrated, and filled by ``fill``."""
        self._administer(f"CREATE DATABASE {TEMPLATE}")
        with self.database(TEMPLATE):
            call_command("migrate", verbosity=0, interactive=False)
            fill()

    def new_database(self) -> str:
        self._databases += 1
        name = f"run{self._databases}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name

    def _administer(self, sql: str) -> None:
        with closing(self.connect(DATABASE)) as admin:
            admin.autocommit = True
            admin.cursor().execute(sql)

    def connect(self, name: str) -> Any:
        """A bare connection beside Django's."""
        return psycopg2.connect(host=str(self.postgres.sockets), user=ROLE, dbname=name)

    def address(self, name: str) -> str:
        return self.postgres.url.removesuffix(DATABASE) + name


@contextmanager
def ground() -> Iterator[Ground]:
    """The servers in a temporary folder; gone with it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="aftersales-faults-", dir="/tmp"))
    folder.chmod(0o711)  # nobody, whom PostgreSQL runs as under root, must pass through
    try:
        with servers.sockets_folder(folder) as sockets, Run(folder / "run") as run:
            found = Ground(run, folder, sockets)
            try:
                yield found
            finally:
                found.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kill_group(child: Child) -> None:
    """The child and everything it started, without warning."""
    with suppress(ProcessLookupError):
        os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait(PATIENCE)


# --- the portal's processes ----------------------------------------------------------------------


class Portal:
    """Web, workers and beat as ``make demo`` starts them, on one test's database.

    Each is its own process group, and its connections carry its name.
    """

    def __init__(self, ground: Ground, name: str, port: int, **environment: str) -> None:
        self.ground, self.database, self.port = ground, name, port
        self.folder = ground.folder / name
        self.folder.mkdir()
        self.run = Run(self.folder)
        self.kills = 0
        self._children: dict[str, Child] = {}
        self._values = {
            **os.environ,
            "DATABASE_URL": ground.address(name),
            "REDIS_URL": ground.valkey.url,
            "MEDIA_ROOT": str(self.folder / "media"),
            "SMS_DIRECTORY": str(self.folder / "sms"),
            "EMAIL_URL": f"filemail:///{self.folder / 'mail'}",
            **environment,
        }

    def start(self, *names: str, **environment: str) -> None:
        """Start some of web, worker-sla, worker-mail, worker-default and beat."""
        for name in names:
            values = {**self._values, **environment, "PGAPPNAME": name}
            commands = {
                command.name: command for command in demo.portal(self.port, values, self.folder)
            }
            self._children[name] = self.run.start(commands[name])

    def kill(self, name: str) -> None:
        """SIGKILL to the whole group."""
        child = self._children.pop(name)
        assert child.process.poll() is None, self.run.obituary(child)
        kill_group(child)
        self.run.forget(child)
        self.kills += 1

    def pid(self, name: str) -> int:
        return self._children[name].process.pid

    def require_alive(self) -> None:
        """Raises LocalError, with the end of its log, for a process that ended by itself."""
        self.run.require_alive()

    def end(self) -> None:
        for name in reversed(list(self._children)):
            kill_group(self._children.pop(name))

    def log(self, name: str) -> str:
        return self.run.log_of(name).read_text(errors="replace")


# --- what a backend does right now ---------------------------------------------------------------


@dataclass(frozen=True)
class Backend:
    """A server process and its transaction, 0 while that has locked or written nothing."""

    pid: int
    xid: int


def writing(name: str) -> Backend | None:
    """A connection called ``name`` whose transaction has written or locked something by now."""
    return _backend(name, "backend_xid IS NOT NULL")


def waiting(name: str) -> Backend | None:
    """A connection stuck behind a lock that somebody else holds."""
    return _backend(name, "cardinality(pg_blocking_pids(pid)) > 0")


def idle(name: str) -> Backend | None:
    """A connection that nobody uses at the moment."""
    return _backend(name, "state = 'idle'")


def _backend(name: str, condition: str) -> Backend | None:
    sql = (
        "SELECT pid, coalesce(backend_xid::text::bigint, 0) FROM pg_stat_activity "
        "WHERE application_name = %s AND datname = current_database() AND "
    )
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} {condition} LIMIT 1", [name])
        row = cursor.fetchone()
    return Backend(*row) if row else None


def terminate(backend: Backend) -> None:
    """Cut the connection from the server's side."""
    assert value("SELECT pg_terminate_backend(%s)", backend.pid)
    gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"
    until(lambda: value(gone, backend.pid), "the end of the backend")


def was_rolled_back(backend: Backend) -> bool:
    """How its transaction ended, which a killed client cannot tell."""
    if not backend.xid:
        return True

    def status() -> str | None:
        # The cluster is new, so the short id is the whole one.
        sql = "SELECT nullif(pg_xact_status(%s::text::xid8), 'in progress')"
        found: str | None = value(sql, backend.xid)
        return found

    return bool(until(status, "the end of the transaction") == "aborted")


@contextmanager
def barrier(ground: Ground, database: str, table: str) -> Iterator[None]:
    """Within the block nobody can write to ``table``; readers pass."""
    with closing(ground.connect(database)) as bare:
        bare.cursor().execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        yield


@dataclass
class Scene:
    """What a test is given: servers, its own database, and the portal's processes.

    ``tell`` is for the figures of a run; they are printed below the results.
    """

    ground: Ground
    portal: Portal
    tell: Callable[[str], None]

    def forks(self) -> Forks:
        return Forks(self.portal.folder / "forks.log")

    def barrier(self, table: str) -> Any:
        return barrier(self.ground, self.portal.database, table)


@contextmanager
def scene(
    ground: Ground, port: int, tell: Callable[[str], None], **environment: str
) -> Iterator[Scene]:
    """A fresh database and no process yet; at the end all are gone and the servers mended."""
    ground.mend()
    name = ground.new_database()
    with ExitStack() as stack:
        stack.enter_context(ground.database(name))
        portal = Portal(ground, name, port, **environment)
        stack.callback(portal.end)
        yield Scene(ground, portal, tell)
