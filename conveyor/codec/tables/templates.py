"""Templates: a CSV file that shows people what to upload, and is accepted back with their rows under it.

Its header has a `*` behind each column that must be filled in. Its first row says what each column is for, and its
second is an example. In both the last column, `template_note`, says that they are not read; so they may be deleted, or
stay where they are. An example becomes a row by emptying its note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conveyor.codec.tables.forms import NOTE_COLUMN, TableFormat
from conveyor.codec.tables.layout import REQUIRED_MARK
from conveyor.codec.tables.notes import EXAMPLE, HELP
from conveyor.codec.tables.writing import csv_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.codec.tables.layout import LayoutColumn, RowLayout

__all__ = ["make_template", "template_rows"]


def make_template(layout: RowLayout[Any], *, delimiter: str = ",") -> str:
    """Return the template for a row class as CSV.

    Args:
        layout: of the class; what its columns are for is said by `column`.
        delimiter: between cells; a semicolon is what spreadsheets expect where decimals have a comma.
    """
    return csv_text(template_rows(layout), TableFormat(delimiter=delimiter))


def template_rows(layout: RowLayout[Any]) -> Sequence[Sequence[str]]:
    """Return the cells of a template, row by row."""
    rows = [
        [*(f"{column.name}{_mark(column)}" for column in layout.columns), NOTE_COLUMN],
        [*(_help(column) for column in layout.columns), HELP],
    ]
    if any(column.described.example for column in layout.columns):
        rows.append([*(column.described.example for column in layout.columns), EXAMPLE])
    return rows


def _mark(column: LayoutColumn) -> str:
    return f" {REQUIRED_MARK}" if column.is_required else ""


def _help(column: LayoutColumn) -> str:
    """Return what is to be typed into a column, in words."""
    told = [column.described.help, column.contents, "" if column.is_required else "may be empty"]
    return "; ".join(part for part in told if part)
