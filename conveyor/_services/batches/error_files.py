"""The bad rows of a batch job as a file: as they stood in its own, with what is wrong about them."""

from __future__ import annotations

import tempfile
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

from conveyor._services.batches import changing
from conveyor._services.batches.sealing import opened_context
from conveyor.codec.tables import ErrorFileWriter, TableForm, TableReader, WorkbookWriter
from conveyor.codec.tables.forms import OF_WORKBOOK, form_of
from conveyor.errors import BadFileError, BatchJobError, StoredFileNotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from conveyor._services.services import Services
    from conveyor.codec.tables import TableFormat
    from conveyor.model.batches.values import BatchJobData, RowError
    from conveyor.model.stored_files import StoredFile

__all__ = ["error_file"]

_ROWS: Final = 500
_BLOCK: Final = 1 << 18


async def error_file(
    services: Services, batch_id: str, *, as_workbook: bool | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield the header and the bad rows of the file of a batch job, each row with what is wrong about it.

    Args:
        services: of the app.
        batch_id: whose.
        as_workbook: as a spreadsheet; None: where that was what was uploaded.

    Raises:
        BatchJobNotFoundError
        BatchJobError: its context names no file, or one that is no table; or no spreadsheet can be made of it.
        StoredFileNotFoundError: the file has gone.
        PayloadError: the context is encrypted, and this app has no key for it.
        ConfigurationError: it is to be a spreadsheet, and openpyxl is not installed.
    """
    batch = await changing.get(services, batch_id)
    context = opened_context(services, batch)
    stored = await _file_of(services, batch, context)
    table = await _format_of(services, batch, context, stored)
    writer = ErrorFileWriter(table)
    is_workbook = stored.media_type == OF_WORKBOOK if as_workbook is None else as_workbook
    if is_workbook and table.form is TableForm.JSONL:
        raise _refused(batch, "its file is of JSON lines, whose rows fit in no sheet")
    blocks = _as_workbook(services, batch_id, writer) if is_workbook else _as_text(services, batch_id, writer)
    async with aclosing(blocks):
        async for block in blocks:
            yield block


async def _as_text(services: Services, batch_id: str, writer: ErrorFileWriter) -> AsyncGenerator[bytes, None]:
    yield writer.header()
    async for chunk in _chunks(services, batch_id):
        yield writer.rows(chunk)


async def _as_workbook(services: Services, batch_id: str, writer: ErrorFileWriter) -> AsyncGenerator[bytes, None]:
    workbook = WorkbookWriter()
    await to_thread.run_sync(workbook.add, [writer.columns])
    async for chunk in _chunks(services, batch_id):
        await to_thread.run_sync(workbook.add, [writer.cells(error) for error in chunk])
    # The list of what is in it stands at its end, so nothing can be given away before.
    with tempfile.TemporaryFile() as file:
        await to_thread.run_sync(workbook.save, file)
        file.seek(0)
        while block := await to_thread.run_sync(file.read, _BLOCK):
            yield block


async def _chunks(services: Services, batch_id: str) -> AsyncGenerator[list[RowError], None]:
    chunk: list[RowError] = []
    async for error in changing.errors(services, batch_id):
        chunk.append(error)
        if len(chunk) == _ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _file_of(services: Services, batch: BatchJobData, context: Mapping[str, Any]) -> StoredFile:
    key = context.get("file")
    if not isinstance(key, str):
        raise _refused(batch, "its context names no file")
    stored = await services.file_storage.find(key)
    if stored is None:
        raise StoredFileNotFoundError(key)
    return stored


async def _format_of(
    services: Services, batch: BatchJobData, context: Mapping[str, Any], stored: StoredFile
) -> TableFormat:
    """Return how its file is written, as the context says it where it is a `FileParams`."""
    reader = TableReader(form_of(stored.name), encoding=context.get("encoding"), delimiter=context.get("delimiter"))
    try:
        async with services.file_storage.read(stored.key) as blocks:
            async for block in blocks:
                reader.add(block)
                # The first row comes with the header; all that are in the block would take megabytes.
                reader.take(1)
                if reader.format is not None:
                    return reader.format
        reader.finish()
    except BadFileError as exc:
        raise _refused(batch, f"its file is no table: {exc.message}") from exc
    if reader.format is None:
        raise _refused(batch, "its file is empty")
    return reader.format


def _refused(batch: BatchJobData, why: str) -> BatchJobError:
    return BatchJobError(
        f"there is no error file of batch job {batch.id!r}: {why}", batch_id=batch.id, batch_type=batch.batch_type
    )
