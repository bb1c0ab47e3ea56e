"""The translations: binary catalogues are made here from the texts, without gettext."""

from pathlib import Path

import polib

from aftersales.local.environment import ROOT


def compile_all(folder: Path = ROOT / "locale") -> None:
    """Make the binary catalogues from the texts where they are older; needs no gettext."""
    for text in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        binary = text.with_suffix(".mo")
        if not binary.exists() or binary.stat().st_mtime < text.stat().st_mtime:
            partial = binary.with_suffix(".mo.new")
            polib.pofile(str(text)).save_as_mofile(str(partial))
            partial.replace(binary)
