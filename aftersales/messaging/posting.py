"""One HTTP POST to an address that was checked: no redirect, no second look-up, no long wait."""

import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException

from aftersales.messaging.addresses import Target

SECONDS = 15.0
# Read so that the receiver's write succeeds; never stored, never shown.
READ_BYTES = 4096


class NoAnswer(Exception):
    """No status came back in time; the text is the class of what went wrong."""


@dataclass(frozen=True)
class Answer:
    """A status, and the wait it asks for."""

    status: int
    retry_after: str
    received_at: datetime


def post(
    target: Target,
    address: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    seconds: float = SECONDS,
    trust: ssl.SSLContext | None = None,
) -> Answer:
    """Posts to ``address`` in the name of ``target``: Host, SNI and certificate are the target's.

    ``seconds`` is for all of it; a receiver that drips its answer is cut off. Raises NoAnswer.
    """
    connection = _Pinned(target, address, seconds, trust)
    done, late = threading.Event(), threading.Event()
    threading.Thread(
        target=_watch, args=[connection, seconds, done, late], name="webhook-watch", daemon=True
    ).start()
    try:
        connection.request(
            "POST", target.path, body=body, headers={"Host": target.host_header, **headers}
        )
        response = connection.getresponse()
        if late.is_set():
            raise TimeoutError
        answer = Answer(
            status=response.status,
            retry_after=response.getheader("Retry-After", ""),
            received_at=datetime.now(UTC),
        )
        # A status is an answer, whatever becomes of the body.
        with suppress(HTTPException, OSError):
            response.read(READ_BYTES)
        return answer
    except (HTTPException, OSError, ValueError) as error:
        raise NoAnswer("Timeout" if late.is_set() else type(error).__name__) from None
    finally:
        done.set()
        connection.close()


class _Pinned(HTTPConnection):
    """Connects to the address it was given, and proves the target's name by TLS."""

    def __init__(
        self, target: Target, address: str, seconds: float, trust: ssl.SSLContext | None
    ) -> None:
        super().__init__(target.host, target.port, timeout=seconds)
        self._peer = (address, target.port)
        self._tls = (trust or ssl.create_default_context()) if target.scheme == "https" else None

    def connect(self) -> None:
        self.sock = socket.create_connection(self._peer, self.timeout)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


def _watch(
    connection: HTTPConnection, seconds: float, done: threading.Event, late: threading.Event
) -> None:
    """Socket time-outs count from one byte to the next; this one counts from the beginning."""
    if done.wait(seconds):
        return
    late.set()
    while not done.wait(0.2):
        # Again and again, for the socket may still be on its way through connect.
        sock = connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
