"""The rows that a template brings along: what tells them from the rows that people add."""

from __future__ import annotations

from typing import Final

from conveyor.codec.tables.forms import NOTE_COLUMN

__all__ = ["EXAMPLE", "HELP", "is_own_row"]

HELP: Final = "help: this row is not read"
EXAMPLE: Final = "example: this row is not read"


def is_own_row(note: object) -> bool:
    """Whether a row with this note is the template's own.

    Raises:
        ValueError: there is something else in the note: somebody's, whose row must not be left out in silence.
    """
    if note is None or note == "":
        return False
    if note in (HELP, EXAMPLE):
        return True
    raise ValueError(f"{NOTE_COLUMN} is for the template's own rows: leave it empty in yours")
