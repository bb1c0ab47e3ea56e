"""``make mutants``: take each guard out, and see the tests that must then fail go red.

Each ``*.patch`` here removes one guard. Its head names the guard and the tests:

    Guard: a case is locked before it is read
    Red: tests/tickets/test_races.py::test_it_settles_once

The patches are applied to copies of the tree, two at a time, each taken back before the next. A
test that is red before anything is taken out, or stays green after, fails the run; so does a patch
that the code has moved away from.

    python -m tests.mutants [part of a patch's name ...]
"""

import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aftersales.local import environment, servers
from aftersales.local.processes import say

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
AT_ONCE = 2
PATIENCE = 300.0  # seconds for the tests of one mutant, which may well hang
FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)


class Trouble(Exception):
    """The mutant could not be judged."""


@dataclass(frozen=True)
class Mutant:
    """One patch: the guard that it removes, and the tests that must notice."""

    name: str
    guard: str
    tests: list[str]
    patch: str

    @property
    def changes_the_schema(self) -> bool:
        return "/migrations/" in self.patch


def read(path: Path) -> Mutant:
    """Raises ValueError for a patch without its head."""
    head, sign, _ = path.read_text().partition("--- a/")
    guard = re.findall(r"^Guard: (.+)$", head, re.MULTILINE)
    tests = re.findall(r"^Red: (\S+)$", head, re.MULTILINE)
    if len(guard) != 1 or not tests or not sign:
        raise ValueError(f"{path.name} needs one line 'Guard: …', lines 'Red: …', and a diff.")
    return Mutant(path.stem, guard[0], tests, path.read_text())


def copy_tree(target: Path) -> None:
    """What git knows or would add, so that work in progress is judged too."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in listing.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


class Bench:
    """One copy of the tree with a database of its own; judges one mutant after the other."""

    def __init__(self, tree: Path, addresses: Mapping[str, str], number: int) -> None:
        copy_tree(tree)
        database = addresses["DATABASE_URL"].rpartition("/")[0] + f"/mutants{number}"
        broker = addresses["REDIS_URL"].replace("db=0", f"db={number}")
        self._environment = {**os.environ, "DATABASE_URL": database, "REDIS_URL": broker}
        self._tree = tree
        self._stale = True  # there is no database yet, or one of another schema

    def judge(self, mutant: Mutant) -> list[str]:
        """The tests that stay green although the guard is gone; none is what we want.

        Raises Trouble when the patch no longer fits, or its tests do not run.
        """
        self._apply(mutant.patch)
        self._stale |= mutant.changes_the_schema
        try:
            red = self.red_tests(mutant.tests)
        finally:
            self._apply(mutant.patch, "--reverse")
            self._stale |= mutant.changes_the_schema
        return [test for test in mutant.tests if test.partition("[")[0] not in red]

    def red_tests(self, tests: list[str]) -> set[str]:
        """The tests that fail, parameters left off. Raises Trouble if they do not run."""
        options = ["-q", "-rf", "--no-header", "--tb=no", "--reuse-db", "--timeout=60"]
        if self._stale:
            options.append("--create-db")
        try:
            result = subprocess.run(
                [sys.executable, "-m", "pytest", *options, *tests],
                cwd=self._tree,
                env=self._environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired as error:
            raise Trouble(f"its tests take longer than {PATIENCE:g} s") from error
        if result.returncode not in (0, 1):
            last = (result.stdout + result.stderr).strip().splitlines()[-5:]
            raise Trouble("its tests do not run: " + " | ".join(last))
        self._stale = False
        return {name.partition("[")[0] for name in FAILED.findall(result.stdout)}

    def _apply(self, patch: str, *extra: str) -> None:
        command = ["git", "apply", "--whitespace=nowarn", *extra, "-"]
        result = subprocess.run(
            command, cwd=self._tree, input=patch, text=True, check=False, capture_output=True
        )
        if result.returncode:
            raise Trouble("the code has moved on and the patch does not fit: " + result.stderr)


def red_before(benches: list[Bench], mutants: list[Mutant], pool: ThreadPoolExecutor) -> set[str]:
    """Tests that fail with every guard in place; each bench runs its share of all of them."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    shares = [tests[number :: len(benches)] for number in range(len(benches))]
    busy = [(bench, share) for bench, share in zip(benches, shares, strict=True) if share]
    runs = pool.map(lambda pair: pair[0].red_tests(pair[1]), busy)
    return {test for run in runs for test in run}


def judge_all(benches: list[Bench], mutants: list[Mutant], pool: ThreadPoolExecutor) -> int:
    """A line for each mutant as soon as it is known; returns how many were not noticed."""
    # Those that need a new database come last, so that few of the others wait for one.
    waiting: queue.SimpleQueue[Mutant] = queue.SimpleQueue()
    for mutant in sorted(mutants, key=lambda mutant: mutant.changes_the_schema):
        waiting.put(mutant)
    width = max(len(mutant.name) for mutant in mutants)

    def verdicts(bench: Bench) -> Iterator[bool]:
        while True:
            try:
                mutant = waiting.get_nowait()
            except queue.Empty:
                return
            begun = time.monotonic()
            try:
                green = bench.judge(mutant)
                verdict = "NOT NOTICED by " + ", ".join(green) if green else "red"
            except Trouble as trouble:
                verdict = f"NOT JUDGED: {trouble}"
            seconds = time.monotonic() - begun
            say(f"  {mutant.name:<{width}}  {seconds:4.0f} s  {verdict:<4} {mutant.guard}")
            yield verdict == "red"

    runs = pool.map(lambda bench: list(verdicts(bench)), benches)
    return sum(not noticed for run in runs for noticed in run)


def main(wanted: list[str]) -> int:
    mutants = [read(path) for path in sorted(HERE.glob("*.patch"))]
    mutants = [one for one in mutants if not wanted or any(part in one.name for part in wanted)]
    if not mutants:
        say("There is no such patch.")
        return 1
    with (
        tempfile.TemporaryDirectory(prefix="aftersales-mutants-") as folder,
        servers.throwaway() as addresses,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        os.environ.update({**environment.TEST_VALUES, **addresses})
        benches = [Bench(Path(folder, str(n)), addresses, n) for n in range(1, AT_ONCE + 1)]
        say(f"{len(mutants)} guards. First, all their tests with every guard in place.")
        try:
            already = red_before(benches, mutants, pool)
        except Trouble as trouble:
            say(str(trouble))
            return 1
        if already:
            say("These are red already: " + ", ".join(sorted(already)))
            return 1
        survivors = judge_all(benches, mutants, pool)
    say(f"{len(mutants) - survivors} guards noticed, {survivors} not.")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
