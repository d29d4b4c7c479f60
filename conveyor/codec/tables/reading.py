"""TableReader: fed blocks of bytes, it returns rows, each with the place in the file where the next begins."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import evolve

from conveyor.codec.tables.csv_records import CsvRecords
from conveyor.codec.tables.forms import TableForm, TableFormat, TableLimits, TableRow, check_delimiter, row_too_large
from conveyor.codec.tables.json_records import JsonRecords
from conveyor.codec.tables.lines import LONGEST_MARK, Splitter, make_splitter, name_encoding, strip_mark
from conveyor.errors import BadFileError, BatchJobError, ConveyorInternalError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from conveyor.codec.tables.csv_blocks import TableBlock
    from conveyor.codec.tables.layout import RowLayout

__all__ = ["Records", "TableReader"]

DEFAULT_LIMITS: Final = TableLimits()


class Records(Protocol):
    """Makes rows of lines, in one of the forms."""

    @property
    def format(self) -> TableFormat | None:
        """How the file is written; None: its header is not read yet."""
        ...

    @property
    def number(self) -> int:
        """The number of the last row there was."""
        ...

    @property
    def waiting(self) -> int:
        """How many bytes of lines wait for the end of their row."""
        ...

    def add(self, lines: Sequence[bytes], /) -> None:
        """Take lines."""
        ...

    def take_block(self, most: int) -> TableBlock | None:
        """Return rows that are whole and as they should be; None: there is none, or the next needs a closer look."""
        ...

    def take(self, *, is_last: bool) -> Generator[TableRow, None, None]:
        """Yield the rows that are whole now; closed before it is through, it goes on with the next row."""
        ...


class TableReader:
    """Reads one file, from its beginning or from a cursor.

    Feed it blocks of any size, and `finish` it at the end of the file::

        reader = TableReader(TableForm.CSV, layout=layout)
        async for block in blocks:
            for row in reader.feed(block):
                product = layout.read(row, has_comma=reader.has_comma)
        for row in reader.finish():
            ...

    What is wrong with the file as a whole is raised before its first row. A row that is wrong by itself is returned
    with its `TableRow.error`.
    """

    def __init__(
        self,
        form: TableForm = TableForm.CSV,
        *,
        layout: RowLayout[Any] | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        has_guard: bool = True,
        limits: TableLimits = DEFAULT_LIMITS,
    ) -> None:
        """Begin at the beginning of a file.

        Args:
            form: how rows stand in it.
            layout: which columns it is to have; None: any.
            encoding: of a file without a byte order mark; None: UTF-8.
            delimiter: between cells; None: what the header is parted by: a comma, a semicolon or a tab.
            has_guard: take away the apostrophes that writers put in front of formulas.
            limits: how large things may be.

        Raises:
            BadFileError: the encoding is not known, or that is no delimiter.
        """
        self._layout = layout
        self._limits = limits
        self._given = TableFormat(
            form, encoding or "", "" if delimiter is None else check_delimiter(delimiter), (), has_guard
        )
        self._encoding = None if encoding is None else name_encoding(encoding)
        self._head = b""
        self._is_resumed = False
        self._is_last = False
        self._splitter: Splitter | None = None
        self._records: Records | None = None
        self._error: BadFileError | None = None
        # Asked for with each row of a run, and the same for all.
        self._format_json: dict[str, Any] | None = None

    @classmethod
    def resume(
        cls, cursor: Mapping[str, Any], *, layout: RowLayout[Any] | None = None, limits: TableLimits = DEFAULT_LIMITS
    ) -> TableReader:
        """Go on after the row of a cursor: feed it the file from byte ``cursor["offset"]`` on.

        Args:
            cursor: what `cursor_after` returned.
            layout: the columns may have changed since, and are checked again.
            limits: as above.

        Raises:
            BatchJobError: it is no cursor of a table.
            BadFileError: the columns are not those of the layout.
        """
        try:
            place, number = int(cursor["offset"]), int(cursor["number"])
            table = TableFormat.from_json(cursor["format"])
        except (KeyError, TypeError, ValueError) as exc:
            raise BatchJobError(f"this is no cursor of a table: {cursor!r}") from exc
        reader = cls(table.form, layout=layout, has_guard=table.has_guard, limits=limits)
        reader._is_resumed = True
        if layout is not None and table.form is TableForm.CSV:
            layout.check_columns(table.columns)
        reader._start(table, place, number)
        return reader

    @property
    def format(self) -> TableFormat | None:
        """How the file is written; None: its header is not read yet."""
        return None if self._records is None else self._records.format

    @property
    def has_comma(self) -> bool:
        """Whether decimals have a comma; see `RowLayout.read`."""
        return self.format is not None and self.format.has_comma

    def cursor_after(self, row: TableRow) -> dict[str, Any]:
        """Return where to go on after a row, as JSON-like values; see `resume`."""
        return self.cursor_at(row.end, row.number)

    def cursor_at(self, end: int, number: int) -> dict[str, Any]:
        """Return the same for the row of this number, which ends there."""
        if self.format is None:
            raise ConveyorInternalError("there was a row before there was a header")
        if self._format_json is None:
            self._format_json = self.format.to_json()
        return {"offset": end, "number": number, "format": self._format_json}

    def feed(self, block: bytes) -> Sequence[TableRow]:
        """Return the rows that are whole with this block of the file.

        Raises:
            BadFileError: no row from here on can be told; rows that came before stay right.
        """
        self.add(block)
        return self._rows()

    def finish(self) -> Sequence[TableRow]:
        """Return the rows that the end of the file makes whole.

        Raises:
            BadFileError: as for `feed`; or there is nothing in the file, or no row.
        """
        self.end()
        rows = self._rows()
        if self._error is not None:
            raise self._error
        self._check_end()
        return rows

    def add(self, block: bytes) -> None:
        """Take a block of the file; its rows are there for `take`."""
        if self._records is None:
            self._head += block
            if len(self._head) < LONGEST_MARK:
                return
            block = self._begin()
        self._records_now.add(self._splitter_now.feed(block))

    def end(self) -> None:
        """Say that there are no more blocks."""
        if self._records is None:
            block = self._begin()
            self._records_now.add(self._splitter_now.feed(block))
        self._records_now.add(self._splitter_now.finish())
        self._is_last = True

    def take(self, most: int) -> TableBlock | TableRow | None:
        """Return at most so many of the next rows: a block where they are as they should be, else one row.

        None: `add` more, or that was the end of the file.

        Raises:
            BadFileError: as for `feed` and `finish`.
        """
        records = self._records
        if records is None:
            return None
        if (block := records.take_block(most)) is not None:
            return block
        with closing(records.take(is_last=self._is_last)) as rows:
            row = next(rows, None)
        if row is None:
            self._check_waiting(self._splitter_now.waiting + records.waiting, records.number + 1)
            if self._is_last:
                self._check_end()
        return row

    def _check_end(self) -> None:
        if self._is_resumed:
            return
        if self.format is None or not self._head:
            raise BadFileError("empty_file", "there is nothing in it")
        if self._records_now.number == 0:
            raise BadFileError("no_rows", "there is no row in it")

    @property
    def _records_now(self) -> Records:
        if self._records is None:
            raise ConveyorInternalError("rows are read before the file began")
        return self._records

    @property
    def _splitter_now(self) -> Splitter:
        if self._splitter is None:
            raise ConveyorInternalError("rows are read before the file began")
        return self._splitter

    def _begin(self) -> bytes:
        """Look at the first bytes of a file, and return what stands behind its byte order mark."""
        mark, encoding = strip_mark(self._head, self._encoding)
        self._start(evolve(self._given, encoding=encoding), mark, 0)
        block, self._head = self._head[mark:], self._head[:LONGEST_MARK]
        return block

    def _start(self, table: TableFormat, place: int, number: int) -> None:
        self._splitter = make_splitter(table.encoding)
        if table.form is TableForm.JSONL:
            self._records = JsonRecords(table, place, number, self._limits)
        else:
            self._records = CsvRecords(table, place, number, limits=self._limits, layout=self._layout)

    def _rows(self) -> Sequence[TableRow]:
        if self._error is not None:
            raise self._error
        if self._records is None:
            return ()
        rows: list[TableRow] = []
        try:
            for row in self._records.take(is_last=self._is_last):
                rows.append(row)  # noqa: PERF402 - what came before an error is kept
            self._check_waiting(self._splitter_now.waiting + self._records.waiting, self._records.number + 1)
        except BadFileError as exc:
            if not rows:
                raise
            self._error = exc  # once the rows before it are gone
        return rows

    def _check_waiting(self, size: int, number: int) -> None:
        if size > self._limits.row_bytes:
            raise row_too_large(self._limits, number)
