"""TableWriter: rows to bytes, so that spreadsheets run nothing of them and a reader gets back the same."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from conveyor.codec.json_values import encode_json
from conveyor.codec.tables.cells import write_cell
from conveyor.codec.tables.forms import TableForm, TableFormat, check_delimiter
from conveyor.codec.tables.guard import guard
from conveyor.codec.tables.lines import name_encoding
from conveyor.errors import BadFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["TableWriter", "csv_text"]

_LINE_END: Final = "\r\n"


class TableWriter:
    """Writes one file: `header` first, then rows, as many at a time as one likes. It keeps nothing between calls.

    So an export goes on where it was by writing rows behind those that are there, without the header.
    """

    def __init__(
        self,
        columns: Sequence[str],
        form: TableForm = TableForm.CSV,
        *,
        encoding: str = "utf-8",
        delimiter: str = ",",
        has_guard: bool = True,
    ) -> None:
        """Say how to write.

        Args:
            columns: in this order.
            form: how rows stand in the file.
            encoding: of the file; readers know "utf-8" and, by their mark, the "utf-16" ones.
            delimiter: between cells; where it is a semicolon, decimals have a comma.
            has_guard: put an apostrophe in front of what spreadsheets take for a formula.

        Raises:
            BadFileError: the encoding is not known, or that is no delimiter.
        """
        self._format = TableFormat(form, name_encoding(encoding), check_delimiter(delimiter), tuple(columns), has_guard)

    @property
    def format(self) -> TableFormat:
        """How the file is written."""
        return self._format

    def header(self, *, has_mark: bool = False) -> bytes:
        """Return what a file begins with: its columns, where it is CSV.

        Args:
            has_mark: a byte order mark in front: some spreadsheets take UTF-8 for something else without it. UTF-16
                always has one.
        """
        mark = "\ufeff" if has_mark or self._format.encoding.startswith("utf-16") else ""
        if self._format.form is TableForm.JSONL:
            return mark.encode(self._format.encoding)
        return self._encode(mark) + self._encode(csv_text([self._format.columns], self._format))

    def rows(self, rows: Iterable[Mapping[str, Any]]) -> bytes:
        """Return rows as they stand in the file.

        Args:
            rows: values by column, of the types of `RowLayout`; a column that is not there is empty.

        Raises:
            PayloadError: a value has no form in a cell.
            BadFileError: a character has none in the encoding.
        """
        if self._format.form is TableForm.JSONL:
            # msgspec writes UTF-8.
            lines = b"".join(encode_json(_json_row(row, self._format.columns)) + b"\n" for row in rows)
            return lines if self._format.encoding == "utf-8" else self._encode(lines.decode())
        has_comma = self._format.has_comma
        columns = self._format.columns
        cells = ([write_cell(row.get(name), has_comma=has_comma) for name in columns] for row in rows)
        return self._encode(csv_text(cells, self._format))

    def _encode(self, text: str) -> bytes:
        try:
            return text.encode(self._format.encoding)
        except UnicodeEncodeError as exc:
            character = exc.object[exc.start]
            raise BadFileError("wrong_encoding", f"{character!r} has no form in {self._format.encoding}") from exc


def csv_text(rows: Iterable[Sequence[str]], table: TableFormat) -> str:
    """Return rows of cells as CSV in the format of a table."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=table.delimiter, lineterminator=_LINE_END)
    writer.writerows([guard(cell) for cell in cells] for cells in rows) if table.has_guard else writer.writerows(rows)
    return text.getvalue()


def _json_row(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    values = ((name, row.get(name)) for name in columns)
    # msgspec rounds the offset of a time to minutes.
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values}
