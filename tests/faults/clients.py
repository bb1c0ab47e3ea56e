"""A shop's program: reports cases by REST, and repeats what got no answer with the same key."""

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.faults.harness import PATIENCE, until
from tickets.models import Ticket

PATH = "/api/v1/tickets/"


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 when nothing did."""

    status: int
    body: dict[str, Any]
    replayed: bool = False
    seconds: float = 0


def report(ref: str) -> dict[str, Any]:
    return {
        "kind": "fault",
        "channel": "shop",
        "subject": "主板指示灯不亮",
        "description": "开机后指示灯不亮。",
        "external_ref": ref,
        "customer": {"name": "王小明", "phone": "13800138000"},
    }


class Shop:
    """One key at one portal."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key

    def wait_until_live(self) -> None:
        until(lambda: self._ask("GET", "/health/live").status == 200, "the web server", every=0.1)

    def report(self, ref: str) -> Answer:
        """One try; ``ref`` is the Idempotency-Key as well."""
        return self._ask("POST", PATH, ref)

    def read(self, path: str) -> Answer:
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, ref: str = "") -> Answer:
        begun = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request(method, path, self._body(ref), self._headers(ref))
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            return Answer(0, {}, seconds=time.monotonic() - begun)
        finally:
            connection.close()
        return Answer(
            response.status,
            json.loads(text) if "json" in response.headers.get("Content-Type", "") else {},
            response.headers.get("Idempotent-Replayed") == "true",
            time.monotonic() - begun,
        )

    def send_and_hang_up(self, ref: str) -> socket.socket:
        """A report whose answer nobody will read; close the socket to cut the line."""
        line = socket.create_connection(("127.0.0.1", self._port), timeout=20)
        body = self._body(ref) or b""
        head = "".join(f"{name}: {text}\r\n" for name, text in self._headers(ref).items())
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {len(body)}\r\n"
        line.sendall(f"{head}\r\n".encode() + body)
        return line

    def _body(self, ref: str) -> bytes | None:
        return json.dumps(report(ref)).encode() if ref else None

    def _headers(self, ref: str) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._key}"}
        if ref:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": ref}
        return headers


class Load:
    """Threads that report without pause; each report is repeated until it is taken."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self.taken: dict[str, str] = {}  # by reference, the id of the first 201
        self.repeated: set[str] = set()
        self.statuses: Counter[int] = Counter()
        self.replays = 0
        self.contradictions: list[str] = []
        self.slowest = 0.0

    def _work(self, name: str, pause: float) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            self._report(f"{name}-{number}")
            time.sleep(pause)

    def _report(self, ref: str) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self._shop.report(ref)
            self.statuses[answer.status] += 1
            if answer.status == 201:
                self.slowest = max(self.slowest, answer.seconds)
                self.replays += answer.replayed
                if self.taken.setdefault(ref, answer.body["id"]) != answer.body["id"]:
                    self.contradictions.append(ref)
                return
            self.repeated.add(ref)
            time.sleep(0.1)
        self.contradictions.append(f"{ref} was never taken")

    @contextmanager
    def running(self, threads: int, *, pause: float = 0) -> Iterator["Load"]:
        """Reports within the block; at its end every report that was begun is brought home."""
        for number in range(threads):
            thread = threading.Thread(target=self._work, args=[f"t{number}", pause], daemon=True)
            self._threads.append(thread)
            thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join(PATIENCE + 20)

    def wait_for_more(self, count: int) -> None:
        enough = len(self.taken) + count
        until(lambda: len(self.taken) >= enough, f"{count} more cases")

    def assert_nothing_lost_or_double(self) -> None:
        """Every 201 that was seen is one case, and there is no other case of this shop."""
        assert not self.contradictions, self.contradictions
        stored = Ticket.objects.filter(external_ref__isnull=False)
        found = [(ref, str(own)) for ref, own in stored.values_list("external_ref", "public_id")]
        odd = set(found) ^ set(self.taken.items())
        assert len(found) == len(self.taken), f"{len(found)} cases of {len(self.taken)} reports"
        assert not odd, odd
