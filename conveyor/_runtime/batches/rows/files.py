"""Rows of a stored file: its blocks are read as they are needed, and rows made of them, from the place of a row on."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import evolve

from conveyor._runtime.batches.rows.blocks import RowBlock
from conveyor._runtime.batches.rows.faults import bad_row
from conveyor.codec.tables import TableBlock, TableReader
from conveyor.codec.tables.forms import form_of
from conveyor.errors import BadFileError, BadRowError, StoredFileNotFoundError
from conveyor.model.batches.rows import SourceRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor._runtime.batches.rows.blocks import RowReader
    from conveyor._runtime.batches.rows.patience import Watch
    from conveyor.codec.tables import RowLayout, TableFormat, TableRow
    from conveyor.contracts.file_storage import FileStorage
    from conveyor.contracts.row_batches import FileRows
    from conveyor.model.stored_files import StoredFile

__all__ = ["find_file", "open_file_rows", "read_format", "read_raw"]

RowT = TypeVar("RowT")


async def find_file(storage: FileStorage, key: str) -> StoredFile:
    """Return a stored file.

    Raises:
        StoredFileNotFoundError
    """
    found = await storage.find(key)
    if found is None:
        raise StoredFileNotFoundError(key)
    return found


@asynccontextmanager
async def open_file_rows(
    storage: FileStorage, source: FileRows, layout: RowLayout[RowT], place: Any
) -> AsyncIterator[RowReader[RowT]]:
    """Open the rows of a file after a place; None: all of them.

    Raises:
        StoredFileNotFoundError
        BadFileError: while rows are read: it is no table, or not one of the row class.
    """
    file = await find_file(storage, source.file)
    if place is None:
        reader, offset = _reader(file, source, layout), 0
    else:
        reader, offset = TableReader.resume(place["at"], layout=layout), place["at"]["offset"]
    async with storage.read(source.file, offset) as blocks:
        yield _FileRowReader(reader, layout, aiter(blocks))


async def read_format(storage: FileStorage, source: FileRows, layout: RowLayout[Any]) -> TableFormat:
    """Return how a file is written, from its first blocks.

    Raises:
        StoredFileNotFoundError
        BadFileError: it is no table, or not one of the row class.
    """
    reader = _reader(await find_file(storage, source.file), source, layout)
    async with storage.read(source.file) as blocks:
        async for block in blocks:
            reader.add(block)
            # The first row comes with the header; all that are in the block would take megabytes.
            reader.take(1)
            if reader.format is not None:
                return reader.format
    reader.finish()
    if reader.format is None:
        raise BadFileError("empty_file", "there is nothing in it")
    return reader.format


def read_raw(raw: str, number: int, table: TableFormat, layout: RowLayout[RowT]) -> SourceRow[RowT]:
    """Return a row that is given as it stood in a file, under its number there."""
    # As text it is in no encoding any more; so it is read in the one that has all characters.
    place = {"offset": 0, "number": number - 1, "format": evolve(table, encoding="utf-8").to_json()}
    reader = TableReader.resume(place, layout=layout)
    row: SourceRow[RowT] = SourceRow(number, {"row": number}, None, raw)
    try:
        row.row = layout.read(_only([*reader.feed(raw.encode()), *reader.finish()]), has_comma=reader.has_comma)
    except BadRowError as exc:
        row.error = bad_row(row, exc)
    except BadFileError as exc:
        row.error = bad_row(row, BadRowError(exc.code, exc.message))
    return row


def _only(rows: Sequence[TableRow]) -> TableRow:
    if len(rows) != 1:
        raise BadRowError("unreadable", f"{len(rows)} rows stand in the place of one")
    return rows[0]


class _FileRowReader(Generic[RowT]):
    """A `RowReader` of a file whose blocks are read as they are needed."""

    def __init__(self, reader: TableReader, layout: RowLayout[RowT], blocks: AsyncIterator[bytes]) -> None:
        self._reader = reader
        self._layout = layout
        self._blocks = blocks
        self._has_ended = False
        self._fault: BadFileError | None = None

    async def take(self, most: int, watch: Watch) -> RowBlock[RowT]:
        """Return the next rows."""
        found = RowBlock(self._tell)
        while len(found) < most and not watch.is_over(len(found)):
            rows = self._next(found, most - len(found))
            if isinstance(rows, TableBlock):
                self._add_block(found, rows)
            elif rows is not None:
                self._add_row(found, rows)
            elif self._has_ended or self._fault is not None:
                break
            else:
                await self._feed()
        return found

    def _next(self, found: RowBlock[RowT], most: int) -> TableBlock | TableRow | None:
        """Return what is next; what is wrong with the file is raised once the rows before it are gone."""
        if self._fault is None:
            try:
                return self._reader.take(most)
            except BadFileError as exc:
                self._fault = exc
        if not found:
            raise self._fault
        return None

    async def _feed(self) -> None:
        block = await anext(self._blocks, None)
        if block is None:
            self._reader.end()
            self._has_ended = True
        else:
            self._reader.add(block)

    def _add_block(self, found: RowBlock[RowT], block: TableBlock) -> None:
        table = self._reader.format
        columns = () if table is None else table.columns
        read = self._layout.read_many(columns, block.cells, has_comma=self._reader.has_comma)
        first = block.number - len(read) + 1
        found.numbers += range(first, block.number + 1)
        found.places += zip(block.ends, block.raws, strict=True)
        if BadRowError not in set(map(type, read)):
            found.rows += read  # type: ignore[arg-type] # no error is in it
            return
        for number, row in enumerate(read, first):
            if isinstance(row, BadRowError):
                found.rows.append(None)
                found.errors[number] = bad_row(self._tell(number, None, found.places[len(found) - 1]), row)
            else:
                found.rows.append(row)

    def _add_row(self, found: RowBlock[RowT], table_row: TableRow) -> None:
        place = (table_row.end, table_row.raw)
        row = self._tell(table_row.number, None, place)
        try:
            row.row = self._layout.read(table_row, has_comma=self._reader.has_comma)
        except BadRowError as exc:
            row.error = bad_row(row, exc)
        found.add(row, place)

    def _tell(self, number: int, row: RowT | None, place: tuple[int, str]) -> SourceRow[RowT]:
        end, raw = place
        at = {"row": number, "at": self._reader.cursor_at(end, number)}
        return SourceRow(number, at, row, raw.rstrip("\r\n"))


def _reader(file: StoredFile, source: FileRows, layout: RowLayout[Any]) -> TableReader:
    form = source.form or form_of(file.name)
    return TableReader(form, layout=layout, encoding=source.encoding, delimiter=source.delimiter)
