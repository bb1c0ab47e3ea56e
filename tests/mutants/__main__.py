"""``make mutants``: take each guard out, and see the tests that must then fail go red.

Each ``*.patch`` here removes one guard. Its head names the guard and the tests:

    Guard: a case is locked before it is read
    Red: tests/tickets/test_races.py::test_it_settles_once

The patches are applied to a copy of the tree, one after the other, each taken back before the next.
A test that is red before anything is taken out, or stays green after, fails the run.

    python -m tests.mutants [part of a patch's name ...]
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from aftersales.local import environment, servers
from aftersales.local.processes import say

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)


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


def apply(patch: str, tree: Path, *extra: str) -> None:
    """Raises CalledProcessError when the code has moved on and the patch no longer fits."""
    subprocess.run(
        ["git", "apply", "--whitespace=nowarn", *extra, "-"],
        cwd=tree,
        input=patch,
        text=True,
        check=True,
    )


def red_tests(tree: Path, tests: list[str], *, fresh_database: bool) -> set[str]:
    """The tests that fail in the tree, parameters left off. Raises RuntimeError if none ran."""
    options = ["-q", "-rf", "--no-header", "--tb=no", "--reuse-db"]
    if fresh_database:
        options.append("--create-db")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode not in (0, 1):
        raise RuntimeError(result.stdout[-3000:] + result.stderr[-1000:])
    return {name.partition("[")[0] for name in FAILED.findall(result.stdout)}


def judge(mutant: Mutant, tree: Path, *, fresh_database: bool) -> list[str]:
    """The tests that stay green although the guard is gone; none is what we want."""
    apply(mutant.patch, tree)
    try:
        red = red_tests(tree, mutant.tests, fresh_database=fresh_database)
    finally:
        apply(mutant.patch, tree, "--reverse")
    return [test for test in mutant.tests if test.partition("[")[0] not in red]


def main(wanted: list[str]) -> int:
    mutants = [read(path) for path in sorted(HERE.glob("*.patch"))]
    mutants = [one for one in mutants if not wanted or any(part in one.name for part in wanted)]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="aftersales-mutants-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        with servers.throwaway() as addresses:
            os.environ.update({**environment.TEST_VALUES, **addresses})
            say(f"{len(mutants)} guards. First, all their tests with every guard in place.")
            everything = sorted({test for mutant in mutants for test in mutant.tests})
            if already := red_tests(tree, everything, fresh_database=True):
                say("These are red already: " + ", ".join(sorted(already)))
                return 1
            stale = False  # the last patch left a database of another schema
            for mutant in mutants:
                changes = mutant.changes_the_schema
                green = judge(mutant, tree, fresh_database=changes or stale)
                stale = changes
                survivors += bool(green)
                verdict = "NOT NOTICED by " + ", ".join(green) if green else "red"
                say(f"  {mutant.name}: {mutant.guard}: {verdict}")
    say(f"{len(mutants) - survivors} guards noticed, {survivors} not.")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
