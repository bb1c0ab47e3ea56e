"""The environment's values: the demo's, kept in ``.local/env``, and the fixed ones of tests."""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# Keys of tests: everybody may know them, and every run has the same.
_TEST_KEY = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()

# Every name that .local/env may hold stands here too: what is set wins over that file, so that a
# demo in the same folder never shines through into a test.
TEST_VALUES: Mapping[str, str] = {
    "SECRET_KEY": "only-for-tests-" + "0123456789" * 5,
    "PERSONAL_DATA_KEYS": f"k1:{_TEST_KEY}",
    "BLIND_INDEX_KEY": f"b1:{_TEST_KEY}",
    "LINK_KEYS": f"l1:{_TEST_KEY}",
    "BASE_URL": "http://localhost:8000",
    "EMAIL_URL": "memorymail://",
    "STATIC_FROM_SOURCE": "true",
    "DATABASE_URL": "postgres://portal@localhost/none",
    "REDIS_URL": "redis://localhost:1/0",
}


def _random_key(name: str) -> str:
    return f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def fresh_keys() -> dict[str, str]:
    """Keys for one installation. Losing PERSONAL_DATA_KEYS loses the personal data."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "PERSONAL_DATA_KEYS": _random_key("k1"),
        "BLIND_INDEX_KEY": _random_key("b1"),
        "LINK_KEYS": _random_key("l1"),
    }


def read(path: Path) -> dict[str, str]:
    """The values in an environment file as ``write`` leaves it; {} if there is none."""
    if not path.exists():
        return {}
    lines = (line.partition("=") for line in path.read_text().splitlines())
    return {name: value for name, sign, value in lines if sign and not name.startswith("#")}


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step, readable by its owner only."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("# Written by `make demo`. Without these keys the data cannot be read.\n")
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    partial.replace(path)


def demo_values(local: Path, addresses: Mapping[str, str]) -> dict[str, str]:
    """Keys are made once and kept; addresses belong to this start. Written to ``.local/env``."""
    path = local / "env"
    values = {**fresh_keys(), **read(path), **addresses}
    write(path, values)
    return values
