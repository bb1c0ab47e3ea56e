"""Every text for a person is there in Chinese: the sources are English, so English is complete.

GNU gettext is not needed: texts are read from the syntax tree and from the templates.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.utils.translation.template import (
    block_re,
    constant_re,
    endblock_re,
    inline_re,
    plural_re,
)

ROOT = Path(settings.BASE_DIR)
PO = ROOT / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
PACKAGES = ("aftersales", "tickets", "returns", "surveys", "reports")
ONE = {"_", "gettext", "gettext_lazy", "gettext_noop"}
TWO = {"ngettext", "ngettext_lazy"}
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%%|\{\w*\}")


def texts_in_python(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        wanted = node.args[: 1 if name in ONE else 2 if name in TWO else 0]
        for argument in wanted:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


def texts_in_template(path: Path) -> Iterator[str]:
    """As Django reads them: {% translate %}, and {% blocktranslate %} with its variables."""
    parts = re.split(r"({%.*?%})", path.read_text(), flags=re.DOTALL)
    block: list[str] | None = None
    for part in parts:
        tag = part[2:-2].strip() if part.startswith("{%") else ""
        if block is None and (found := inline_re.match(tag)):
            yield found["single"] if "single" in found.groupdict() else unquoted(found[1])
        elif block is None and block_re.match(tag):
            block = [""]
        elif block is not None and plural_re.match(tag):
            block.append("")
        elif block is not None and endblock_re.match(tag):
            yield from block
            block = None
        elif block is not None:
            block[-1] += re.sub(r"{{\s*(\w+)[^}]*}}", r"%(\1)s", part)
        else:
            yield from (unquoted(text) for text in constant_re.findall(part))


def unquoted(text: str) -> str:
    return text.removeprefix("_(").removesuffix(")").strip("\"'")


def all_texts() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                found |= {text: str(path.relative_to(ROOT)) for text in texts_in_python(path)}
    for path in sorted((ROOT / "templates").rglob("*.*")):
        found |= {text: str(path.relative_to(ROOT)) for text in texts_in_template(path)}
    return found


@pytest.fixture(scope="module")
def catalogue() -> polib.POFile:
    return polib.pofile(str(PO))


def translated(catalogue: polib.POFile) -> set[str]:
    known: set[str] = set()
    for entry in catalogue.translated_entries():
        known |= {entry.msgid, entry.msgid_plural}
    return known


def test_it_says_everything_in_chinese(catalogue: polib.POFile) -> None:
    missing = {
        text: place for text, place in all_texts().items() if text not in translated(catalogue)
    }
    assert not missing, "\n".join(f"{place}: {text!r}" for text, place in missing.items())


def test_it_keeps_what_is_filled_in(catalogue: polib.POFile) -> None:
    for entry in catalogue:
        for text in [entry.msgstr] if entry.msgstr else entry.msgstr_plural.values():
            wanted = set(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
            assert set(PLACEHOLDER.findall(text)) == wanted, entry.msgid


def test_it_is_sorted_and_translates_each_text_once(catalogue: polib.POFile) -> None:
    texts = [entry.msgid for entry in catalogue]
    assert texts == sorted(set(texts))


def test_it_holds_no_text_that_nobody_shows(catalogue: polib.POFile) -> None:
    used = set(all_texts())
    assert not [entry.msgid for entry in catalogue if entry.msgid not in used]
