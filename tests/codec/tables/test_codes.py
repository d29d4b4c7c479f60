"""Every code of a wrong file or row stands in the reference, and no other does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import conveyor.codec.tables

ROOM: Final = Path(conveyor.codec.tables.__file__).parent
PAGE: Final = Path(__file__).parents[3] / "docs" / "reference" / "tables.md"
RAISED: Final = re.compile(r"(?:Bad\w+Error|return \{\}, |error = )\(\s*\"(\w+)\",")


def test_the_reference_has_every_code() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in ROOM.glob("*.py"))
    _, _, told = PAGE.read_text(encoding="utf-8").partition("## What is wrong with a file")
    listed = {
        code for row in re.findall(r"^\| (`[^|]*) \|", told, re.MULTILINE) for code in re.findall(r"`(\w+)`", row)
    }
    assert listed - {"template_note"} == set(RAISED.findall(source))
