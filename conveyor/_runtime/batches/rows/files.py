"""Rows of a stored file: its blocks are read as they are needed, and rows made of them, from the place of a row on."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve

from conveyor._runtime.batches.rows.faults import bad_row
from conveyor.codec.tables import TableForm, TableReader
from conveyor.errors import BadFileError, BadRowError, StoredFileNotFoundError
from conveyor.model.batches.rows import SourceRow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence

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
) -> AsyncIterator[AsyncIterator[SourceRow[RowT]]]:
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
    async with storage.read(source.file, offset) as blocks, aclosing(_rows(reader, layout, blocks)) as rows:
        yield rows


async def read_format(storage: FileStorage, source: FileRows, layout: RowLayout[Any]) -> TableFormat:
    """Return how a file is written, from its first blocks.

    Raises:
        StoredFileNotFoundError
        BadFileError: it is no table, or not one of the row class.
    """
    reader = _reader(await find_file(storage, source.file), source, layout)
    async with storage.read(source.file) as blocks:
        async for block in blocks:
            reader.feed(block)
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


async def _rows(
    reader: TableReader, layout: RowLayout[RowT], blocks: AsyncIterable[bytes]
) -> AsyncGenerator[SourceRow[RowT], None]:
    async for block in blocks:
        for row in reader.feed(block):
            yield _source_row(reader, layout, row)
    for row in reader.finish():
        yield _source_row(reader, layout, row)


def _source_row(reader: TableReader, layout: RowLayout[RowT], row: TableRow) -> SourceRow[RowT]:
    place = {"row": row.number, "at": reader.cursor_after(row)}
    found: SourceRow[RowT] = SourceRow(row.number, place, None, row.raw)
    try:
        found.row = layout.read(row, has_comma=reader.has_comma)
    except BadRowError as exc:
        found.error = bad_row(found, exc)
    return found


def _reader(file: StoredFile, source: FileRows, layout: RowLayout[Any]) -> TableReader:
    form = source.form or _form_of(file.name)
    return TableReader(form, layout=layout, encoding=source.encoding, delimiter=source.delimiter)


def _form_of(name: str) -> TableForm:
    return TableForm.JSONL if name.lower().endswith((".jsonl", ".ndjson")) else TableForm.CSV
