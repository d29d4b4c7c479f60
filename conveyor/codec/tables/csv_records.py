"""CSV to rows: Python's csv module reads them; here are its lines, its limits, and the places where rows end."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from conveyor.codec.tables.csv_blocks import TableBlock, parse_block
from conveyor.codec.tables.forms import (
    DELIMITERS,
    NOTE_COLUMN,
    OWN_COLUMNS,
    TableFormat,
    TableLimits,
    TableRow,
    row_too_large,
    wrong_bytes,
)
from conveyor.codec.tables.guard import unguard
from conveyor.codec.tables.headers import check_header, choose_delimiter
from conveyor.codec.tables.notes import is_own_row
from conveyor.errors import BadFileError, BadRowError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from conveyor.codec.tables.layout import RowLayout

__all__ = ["CsvRecords"]

# The csv module has one limit for the whole program.
_LIMIT_LOCK: Final = Lock()
# How many lines are tried at once behind one that needed a closer look.
_FEW_LINES: Final = 16


class _MoreNeededError(Exception):
    """The lines end inside of a quoted cell; the csv module lets it pass, and begins its row anew next time."""


class CsvRecords:
    """The rows of a CSV file; see `Records`."""

    def __init__(
        self, table: TableFormat, place: int, number: int, *, limits: TableLimits, layout: RowLayout[Any] | None
    ) -> None:
        """Begin at a place of the file, after the row of a number; with the header, where the format has no columns."""
        self.number: int = number
        self._table = table
        self._place = place
        self._limits = limits
        self._layout = layout
        self._lines: list[bytes] = []
        self._first = 0  # the line where the next row begins
        self._next = 0  # the line that the csv module is given next
        self._texts: list[str] = []
        self._size = 0  # of the lines that the csv module was given for the row, in bytes
        self._is_open = False
        self._is_last = False
        self._is_unclosed = False
        self._parser: Iterator[list[str]] | None = None
        self._kept: Sequence[tuple[int, str]] | None = None  # None: all columns are
        self._note: int | None = None
        self._most_lines = _FEW_LINES
        if table.columns:
            self._know(table)

    @property
    def format(self) -> TableFormat | None:
        """How the file is written; None: its header is not read yet."""
        return None if self._parser is None else self._table

    @property
    def waiting(self) -> int:
        """How many bytes of lines wait for the end of their row."""
        return sum(map(len, self._lines))

    def add(self, lines: Sequence[bytes], /) -> None:
        """Take lines."""
        if self._is_open:
            # Only a quote can end the cell that is open.
            self._is_open = not any(b'"' in line for line in lines)
        self._lines.extend(lines)

    def take_block(self, most: int) -> TableBlock | None:
        """Return rows that are whole and as they should be; None: there is none, or the next needs a closer look."""
        if self._parser is None or self._is_open or self._kept is not None:
            return None
        room = min(self._limits.field_length, self._limits.row_bytes, csv.field_size_limit())
        lines = self._lines[: min(most, self._most_lines)]
        while lines and sum(map(len, lines)) > room:
            lines = lines[: len(lines) // 2]
        if not lines:
            return None
        block = parse_block(lines, self._table, self._place, self.number)
        if block is None:
            self._most_lines = _FEW_LINES
            return None
        self._most_lines = max(2 * self._most_lines, block.lines)
        del self._lines[: block.lines]
        self.number, self._place = block.number, block.ends[-1]
        return block

    def take(self, *, is_last: bool) -> Generator[TableRow, None, None]:
        """Yield the rows that are whole now."""
        self._is_last = is_last
        if self._is_open and not is_last:
            return
        try:
            if self._parser is None:
                self._read_header()
            while self._parser is not None and self._first < len(self._lines):
                row = self._row(self._parser)
                if row is not None:
                    yield row
        except _MoreNeededError:
            self._is_open = True
        finally:
            del self._lines[: self._first]
            self._first = self._next = 0

    def __iter__(self) -> CsvRecords:
        """Be the lines that the csv module reads."""
        return self

    def __next__(self) -> str:
        """Return the next line of the row."""
        if self._next == len(self._lines):
            if self._is_last:
                self._is_unclosed = True  # the csv module asks for one more line only inside of quotes
                raise StopIteration
            raise _MoreNeededError
        line = self._lines[self._next]
        self._next += 1
        self._size += len(line)
        try:
            text = line.decode(self._table.encoding)
        except UnicodeDecodeError as exc:
            number = None if self._parser is None else self.number + 1
            raise wrong_bytes(exc, self._table.encoding, number) from exc
        self._texts.append(text)
        return text

    def _read_header(self) -> None:
        while self._parser is None and self._first < len(self._lines):
            found: dict[str, list[str]] = {}
            taken: dict[str, int] = {}
            fault: csv.Error | None = None
            for delimiter in (self._table.delimiter,) if self._table.delimiter else DELIMITERS:
                try:
                    found[delimiter] = self._parse(csv.reader(self, delimiter=delimiter, strict=True))
                except csv.Error as exc:
                    fault = exc  # another delimiter may do
                else:
                    taken[delimiter] = self._next
            if not found:
                raise BadFileError("malformed_header", f"the header is no CSV: {fault}")
            delimiter = choose_delimiter(found, self._layout)
            self._pass_over(taken[delimiter])
            if any(cell.strip() for cell in found[delimiter]):
                columns = check_header(found[delimiter], self._layout, self._limits, has_guard=self._table.has_guard)
                self._know(evolve(self._table, delimiter=delimiter, columns=columns))

    def _know(self, table: TableFormat) -> None:
        self._table = table
        self._parser = csv.reader(self, delimiter=table.delimiter, strict=True)
        if not OWN_COLUMNS.isdisjoint(table.columns):
            self._kept = [(at, name) for at, name in enumerate(table.columns) if name not in OWN_COLUMNS]
        self._note = table.columns.index(NOTE_COLUMN) if NOTE_COLUMN in table.columns else None

    def _row(self, parser: Iterator[list[str]]) -> TableRow | None:
        values: dict[str, str] | None = {}
        error: tuple[str, str] | None = None
        try:
            cells = self._parse(parser)
        except csv.Error as exc:
            if self._is_unclosed:
                reason = "a quote opens a cell and none closes it: all up to the end of the file is in that cell"
                raise BadFileError("unclosed_quote", reason, self.number + 1) from exc
            error = ("malformed_row", f"it is no CSV: {exc}")
        else:
            try:
                values = self._values(cells)
            except BadRowError as exc:
                error = (exc.code, exc.message)
        if values is None:
            self._pass_over(self._next)
            return None
        raw = "".join(self._texts).rstrip("\r\n")
        self._pass_over(self._next)
        self.number += 1
        return TableRow(self.number, values, raw, self._place, error)

    def _values(self, cells: list[str]) -> dict[str, str] | None:
        """Return cells by column; None: it is a blank line, or one of a template."""
        if not cells:
            return None
        count = len(self._table.columns)
        # Spreadsheets put empty cells behind the last column.
        if len(cells) < count or (len(cells) > count and any(cells[count:])):
            raise BadRowError("ragged_row", f"it has {_cells(len(cells))}, and the header has {count}")
        if self._size > self._limits.field_length:
            self._check_lengths(cells)
        if self._table.has_guard and any("'" in text for text in self._texts):
            cells = [unguard(cell) for cell in cells]
        try:
            if self._note is not None and is_own_row(cells[self._note]):
                return None
        except ValueError as exc:
            raise BadRowError(NOTE_COLUMN, str(exc)) from None
        if self._kept is None:
            return dict(zip(self._table.columns, cells, strict=False))
        return {name: cells[at] for at, name in self._kept}

    def _parse(self, parser: Iterator[list[str]]) -> list[str]:
        """Return the cells of the next row."""
        self._begin_row()
        try:
            return next(parser)
        except csv.Error:
            if sum(map(len, self._texts)) <= csv.field_size_limit():
                raise
        self._begin_row()
        with _room_for(self._limits.row_bytes):
            return next(parser)

    def _begin_row(self) -> None:
        self._next = self._first
        self._size = 0
        self._texts.clear()

    def _pass_over(self, line: int) -> None:
        size = self._size if line == self._next else sum(map(len, self._lines[self._first : line]))
        if size > self._limits.row_bytes:
            raise row_too_large(self._limits, self.number + 1)
        self._place += size
        self._first = line

    def _check_lengths(self, cells: Sequence[str]) -> None:
        longest = self._limits.field_length
        for name, cell in zip(self._table.columns, cells, strict=False):
            if len(cell) > longest:
                raise BadRowError("field_too_large", f"{name!r} has {len(cell)} characters; {longest} are read")


def _cells(number: int) -> str:
    return "1 cell" if number == 1 else f"{number} cells"


@contextmanager
def _room_for(size: int) -> Iterator[None]:
    """Let cells be so large for a moment: other threads may parse theirs meanwhile, with more room than they asked."""
    with _LIMIT_LOCK:
        before = csv.field_size_limit()
        csv.field_size_limit(max(size, before))
        try:
            yield
        finally:
            csv.field_size_limit(before)
