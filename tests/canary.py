"""Plants marked personal data and looks for it everywhere that it must not be.

    marks = canary.Marks()
    ... play a case with marks.name, marks.phone, marks.email, marks.address, marks.order_number ...
    assert canary.grep_everything(marks, logs=caplog.text) == []

A value is looked for as it was given and in the forms code makes of it: E.164, digits alone, lower
case, hex (how PostgreSQL shows bytea) and base64. The tickets' own story extends this test.
"""

import base64
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import connection

_count = itertools.count(1)

# Random bytes show four given base64 letters every now and then, eight never.
SHORTEST = 8
READERS: dict[str, Callable[[Any, bytes], Any]] = {
    "string": lambda client, key: client.get(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: client.smembers(key),
    "hash": lambda client, key: client.hgetall(key),
    "zset": lambda client, key: client.zrange(key, 0, -1),
}


@dataclass(frozen=True)
class Marks:
    """One person's values, found nowhere else in tests; every instance has its own."""

    number: int = field(default_factory=lambda: next(_count))

    @property
    def name(self) -> str:
        return f"鹮鷟鸘鹴{self.number:03d}"

    @property
    def phone(self) -> str:
        return f"1987{self.number:03d}6543"

    @property
    def email(self) -> str:
        return f"Canary.Bird{self.number:03d}@kanarie.example"

    @property
    def address(self) -> str:
        return f"广东省深圳市鸜鹆路{self.number:03d}号"

    @property
    def order_number(self) -> str:
        return f"KNR{self.number:03d}77665544"

    @property
    def id_number(self) -> str:
        """A valid one of a person who cannot be."""
        digits = f"8300001999010{self.number % 10}{self.number % 1000:03d}"
        weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
        total = sum(w * int(d) for w, d in zip(weights, digits, strict=True))
        return digits + "10X98765432"[total % 11]

    @property
    def sentence(self) -> str:
        """Free text as customers write it, with everything in it."""
        return (
            f"请回电{self.phone}或＋86 {self.phone[:3]} {self.phone[3:7]} {self.phone[7:]}。"
            f"邮箱{self.email}，身份证{self.id_number}，谢谢"
        )

    def values(self) -> dict[str, str]:
        """What may be nowhere in clear."""
        return {
            "name": self.name,
            "phone": self.phone,
            "email": self.email,
            "address": self.address,
            "order_number": self.order_number,
            "id_number": self.id_number,
        }


def grep_everything(
    marks: Marks, *, logs: str = "", files: Iterable[Path] = (), allowed: Iterable[str] = ()
) -> list[str]:
    """Where a value stands in clear, as "place: which value"; empty when nowhere.

    Looks into every table, all of Redis, ``logs`` and ``files`` (hand in no folder that may hold
    them, such as the mails sent). ``allowed`` names values that this story may show.
    """
    needles = {
        name: list(forms(value)) for name, value in marks.values().items() if name not in allowed
    }
    return [
        f"{place}: {name}"
        for place, text in haystacks(logs, files)
        for name, wanted in needles.items()
        if any(form in text for form in wanted)
    ]


def forms(value: str) -> Iterator[str]:
    """How a value looks when it is in clear."""
    spoken = {value, value.lower(), value.upper()}
    if value.isdigit() and len(value) == 11:
        parts = value[:3], value[3:7], value[7:]
        spoken |= {" ".join(parts), "-".join(parts)}
    for text in spoken:
        encoded = text.encode()
        yield text
        yield encoded.hex()
        yield text.encode("unicode_escape").decode()
        yield repr(encoded)[2:-1]
        # At each of the three places in a base64 group, without the uncertain ends.
        for shift in range(3):
            inner = base64.b64encode(b"\0" * shift + encoded).decode()[4:-4]
            if len(inner) >= SHORTEST:
                yield inner


def haystacks(logs: str, files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    yield from database()
    yield from redis_keys()
    yield "logs", logs
    for folder in files:
        for path in sorted(p for p in [folder, *folder.rglob("*")] if p.is_file()):
            yield str(path), path.read_bytes().decode("utf-8", "replace")


def database() -> Iterator[tuple[str, str]]:
    """Every row of every table as text, bytea in hex."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        )
        tables = [row[0] for row in cursor.fetchall()]
        for table in tables:
            cursor.execute(f"SELECT row.*::text FROM {table} AS row")
            text = "\n".join(row[0] for row in cursor.fetchall())
            yield table, text + "\n".join(_bytes_in(text))


def _bytes_in(text: str) -> Iterator[str]:
    """What the byte columns of a table hold, as far as it can be read."""
    for match in re.finditer(r"\\x((?:[0-9a-f]{2})+)", text):
        yield bytes.fromhex(match[1]).decode("utf-8", "replace")


def redis_keys() -> Iterator[tuple[str, str]]:
    """Keys and values: caches, queues, tasks' arguments."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    try:
        for key in client.scan_iter(count=1000):
            # Not DUMP, which compresses.
            kind: Any = client.type(key)
            read = READERS.get(kind.decode())
            value = repr(read(client, key)) if read else ""
            yield f"redis {key!r}", f"{key!r} {value}"
    finally:
        client.close()
