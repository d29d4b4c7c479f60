"""Formulas in cells: spreadsheets run what begins like one, so writers put an apostrophe in front and readers take it.

The characters are those of OWASP's page on CSV injection. Both functions undo each other for every text: what had
apostrophes of its own in front of such a character gets one more.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["guard", "unguard"]

_DANGEROUS: Final = re.compile(r"'*[=+\-@\t\r\n]")
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r\n]")
_NUMBER: Final = re.compile(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?")
# What a cell begins with that needs a look; nearly none does.
FIRST: Final = frozenset("'=+-@\t\r\n")


def guard(text: str) -> str:
    """Return the text of a cell so that no spreadsheet runs it; numbers stay as they are."""
    if text[:1] in FIRST and text and _DANGEROUS.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def unguard(text: str) -> str:
    """Return what `guard` was given."""
    return text[1:] if _GUARDED.match(text) else text
