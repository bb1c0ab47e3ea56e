"""The other side: a mail server and a webhook receiver on the loopback, with moods."""

import email
import http.server
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from typing import Any


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks enough SMTP. ``mood``: ok, 421 (at MAIL), 451, 550 (RCPT), 554 (DATA), drop, hang."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MailSession)
        self.mood = "ok"
        self.messages: list[Message] = []
        self.recipients: list[str] = []
        self.connections = 0
        self.released = threading.Event()
        # Called between taking a message and saying so.
        self.before_answer: Any = lambda: None

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def message_ids(self) -> list[str]:
        return [str(message["Message-ID"]) for message in self.messages]


class _MailSession(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.server.connections += 1
        with suppress(OSError):
            self._talk()

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def _talk(self) -> None:
        mood = self.server.mood
        if mood == "drop":
            return
        if mood == "hang":
            self.server.released.wait(20)
            return
        self._say("220 stub")
        while line := self.rfile.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb in (b"EHLO", b"HELO"):
                self._say("250 stub")
            elif verb == b"MAIL" and mood == "421":
                self._say("421 too many mails on this connection")
                return
            elif verb == b"RCPT" and mood in ("451", "550"):
                self._say(f"{mood} <{line.decode().strip()}> is not welcome")
            elif verb == b"DATA":
                self._say("354 go on")
                self._take()
            elif verb == b"QUIT":
                self._say("221 bye")
                return
            else:
                if verb == b"RCPT":
                    self.server.recipients.append(line.decode().strip())
                self._say("250 ok")

    def _take(self) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        if self.server.mood == "554":
            self._say("554 spam from somebody@example.com")
            return
        self.server.messages.append(email.message_from_bytes(b"".join(lines)))
        self.server.before_answer()
        self._say("250 taken")


class Receiver(http.server.ThreadingHTTPServer):
    """Takes webhooks; the first part of the path is the mood: 200, 500, 410, 302, hang, drip …"""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.calls: list[tuple[str, dict[str, str], bytes, float]] = []
        self.answer_headers: dict[str, str] = {}
        self.released = threading.Event()
        self.mood: str | None = None
        # After that many calls, do that.
        self.after_calls: tuple[int, Callable[[], object]] = (0, lambda: None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _, _ in self.calls]


class _Call(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.calls.append((self.path, headers, body, time.monotonic()))
        count, then = self.server.after_calls
        if len(self.server.calls) == count:
            then()
        mood = self.server.mood or self.path.strip("/").partition("?")[0].split("/")[0]
        if mood == "hang":
            self.server.released.wait(20)
            return
        if mood == "drip":
            self._drip()
            return
        self.send_response(int(mood))
        for name, value in self.server.answer_headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(b"x" * (2_000_000 if self.path.endswith("/large") else 2))

    def _drip(self) -> None:
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.server.released.wait(0.05):
                self.wfile.write(b"X")
                self.wfile.flush()


@contextmanager
def running(server: Any) -> Iterator[Any]:
    """Serves in a thread within the block."""
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
