"""Children of the test itself: each repeats one piece of work until it is killed."""

import mmap
import os
import random
import signal
import struct
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from django.db import connections

from aftersales.local import processes


class Tallies:
    """Counters that children write and the parent reads, also after their death."""

    SLOTS = 256

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8 * self.SLOTS)
        self._used = 0

    def new(self) -> int:
        self._used += 1
        assert self._used <= self.SLOTS
        return self._used - 1

    def add(self, slot: int, amount: int = 1) -> None:
        struct.pack_into("q", self._memory, 8 * slot, self.read(slot) + amount)

    def read(self, slot: int) -> int:
        return int(struct.unpack_from("q", self._memory, 8 * slot)[0])


@dataclass
class Fork:
    """A child that repeats one piece of work until it is killed."""

    name: str
    work: Callable[[], int]
    pause: float
    slot: int
    pid: int = 0


@dataclass
class Forks:
    """Children of a process that has done its set-up: a fresh interpreter a kill would be slow."""

    log: Path
    tallies: Tallies = field(default_factory=Tallies)
    alive: list[Fork] = field(default_factory=list)
    kills: int = 0

    def start(self, name: str, work: Callable[[], int], *, pause: float = 0.01) -> Fork:
        """``work`` returns how much it did; it is repeated on connections called ``name``."""
        fork = Fork(name, work, pause, self.tallies.new())
        self._launch(fork)
        self.alive.append(fork)
        return fork

    def _launch(self, fork: Fork) -> None:
        connections.close_all()
        tie = processes.before_exec(None, signal.SIGKILL)
        fork.pid = os.fork()
        if fork.pid:
            return
        try:
            tie()
            self._repeat(fork)
        finally:
            os._exit(1)

    def _repeat(self, fork: Fork) -> None:
        options = connections.databases["default"].setdefault("OPTIONS", {})
        options["application_name"] = fork.name
        random.seed(fork.slot)
        while True:
            try:
                self.tallies.add(fork.slot, fork.work())
            except Exception:
                # As the loops of the real processes do; the next round opens a new connection.
                with self.log.open("a") as log:
                    log.write(f"{fork.name}: {traceback.format_exc()}\n")
                connections.close_all()
            time.sleep(fork.pause)

    def work_of(self, fork: Fork) -> int:
        return self.tallies.read(fork.slot)

    def kill(self, fork: Fork) -> None:
        self.alive.remove(fork)
        os.kill(fork.pid, signal.SIGKILL)
        os.waitpid(fork.pid, 0)
        self.kills += 1

    def end(self) -> None:
        while self.alive:
            self.kill(self.alive[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        self.end()
        if error is not None:
            error.add_note(f"The children's troubles:\n{self.troubles()[-3000:]}")

    def troubles(self) -> str:
        """What children raised and survived."""
        return self.log.read_text() if self.log.exists() else ""
