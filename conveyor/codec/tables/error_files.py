"""Error files: the rows that failed as they stood in their file, and why, ready to be mended and read again."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from conveyor.codec.json_values import encode_json
from conveyor.codec.tables.forms import ERROR_COLUMNS, OWN_COLUMNS, TableForm
from conveyor.codec.tables.guard import unguard
from conveyor.codec.tables.json_records import decode_exactly
from conveyor.codec.tables.writing import TableWriter, csv_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor.codec.tables.forms import TableFormat
    from conveyor.model.batches.values import RowError

__all__ = ["ErrorFileWriter"]

# A line that is no JSON object is kept as text under this name; the reader says that the column is not known.
RAW_KEY: Final = "error_raw"


class ErrorFileWriter:
    """Writes the rows of a file that failed, with `error_row, error_code, error_column, error_message` behind them.

    Where the file has such columns already, they are written anew. A row that has too few cells is filled up with
    empty ones, one that has too many has the rest in its last column, and one that is no CSV at all is the text of the
    first.

    Attributes:
        columns: the header.
    """

    def __init__(self, table: TableFormat) -> None:
        """Begin for a file.

        Args:
            table: how it was written: `TableReader.format`.
        """
        self._source = table
        columns = (*table.data_columns, *ERROR_COLUMNS)
        self.columns: Sequence[str] = columns
        self._writer = TableWriter(
            columns, table.form, encoding=table.encoding, delimiter=table.delimiter or ",", has_guard=table.has_guard
        )

    def header(self) -> bytes:
        """Return what the file begins with."""
        return self._writer.header()

    def rows(self, errors: Iterable[RowError]) -> bytes:
        """Return bad rows as they stand in the file; `RowError.raw` is the row as it stood in its own."""
        if self._source.form is TableForm.JSONL:
            text = b"".join(encode_json(_json_row(error)) + b"\n" for error in errors).decode()
        else:
            text = csv_text(map(self.cells, errors), self._writer.format)
        # The cells came from this encoding; a message may have what it has not.
        return text.encode(self._source.encoding, errors="replace")

    def cells(self, error: RowError) -> Sequence[str]:
        """Return a bad row of a CSV file as text, a cell for each of `columns`: for files of another kind."""
        return (*self._own_cells(error.raw), *(str(cell) for cell in _columns_of(error).values()))

    def _own_cells(self, raw: str) -> Sequence[str]:
        """Return a row's cells without those that are conveyor's own."""
        source = self._source
        count = len(source.data_columns)
        try:
            cells = next(csv.reader(io.StringIO(raw, newline=""), delimiter=source.delimiter, strict=True), [])
        except csv.Error:
            return (raw, *[""] * (count - 1))
        if source.has_guard:
            cells = [unguard(cell) for cell in cells]
        width = len(source.columns)
        if len(cells) > width:
            cells = [*cells[: width - 1], source.delimiter.join(cells[width - 1 :])]
        cells += [""] * (width - len(cells))
        return [cell for cell, name in zip(cells, source.columns, strict=True) if name not in OWN_COLUMNS]


def _columns_of(error: RowError) -> dict[str, Any]:
    """Return the cells of conveyor's own columns; several things that are wrong stand in each in one order."""
    faults = error.faults
    messages = [error.message] if len(faults) == 1 else [fault.describe() for fault in faults]
    told = ([fault.code for fault in faults], [fault.column or "" for fault in faults], messages)
    return dict(zip(ERROR_COLUMNS, (error.row_number, *map("; ".join, told)), strict=True))


def _json_row(error: RowError) -> dict[str, Any]:
    try:
        values = decode_exactly(error.raw)
    except (ValueError, ArithmeticError, RecursionError):  # as the reader found
        values = None
    own = values if isinstance(values, dict) else {RAW_KEY: error.raw}
    return {name: value for name, value in own.items() if name not in OWN_COLUMNS} | _columns_of(error)
