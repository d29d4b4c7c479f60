"""Objects as lines of CSV: what is no plain value as JSON, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import json
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CsvWriter"]

# A spreadsheet takes a cell that begins like this for a formula: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class CsvWriter:
    """Writes a heading line and a line for each object; all objects have the keys of the first."""

    def __init__(self, file: IO[str], *, is_raw: bool = False) -> None:
        """Write to a file; raw: also what a spreadsheet would take for a formula, as it is."""
        # Line feeds alone, as everything else that is printed.
        self._rows = csv.writer(file, lineterminator="\n")
        self._is_raw = is_raw
        self._has_heading = False

    def write(self, record: Mapping[str, object]) -> None:
        """Write an object."""
        if not self._has_heading:
            self._rows.writerow(record)
            self._has_heading = True
        self._rows.writerow([_plain(value) if self._is_raw else _harmless(value) for value in record.values()])


def _plain(value: object) -> object:
    if value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool)):
        return value
    return json.dumps(value, ensure_ascii=False)


def _harmless(value: object) -> object:
    cell = _plain(value)
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
