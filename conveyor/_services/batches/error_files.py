"""The bad rows of a batch job as a file: as they stood in its own, with what is wrong about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conveyor._services.batches import changing
from conveyor._services.batches.sealing import opened_context
from conveyor.codec.tables import ErrorFileWriter, TableReader
from conveyor.codec.tables.forms import form_of
from conveyor.errors import BadFileError, BatchJobError, StoredFileNotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from conveyor._services.services import Services
    from conveyor.codec.tables import TableFormat
    from conveyor.model.batches.values import BatchJobData, RowError

__all__ = ["error_file"]

_ROWS: Final = 500


async def error_file(services: Services, batch_id: str) -> AsyncGenerator[bytes, None]:
    """Yield the header and the bad rows of the file of a batch job, each row with what is wrong about it.

    Raises:
        BatchJobNotFoundError
        BatchJobError: its context names no file, or one that is no table.
        StoredFileNotFoundError: the file has gone.
        PayloadError: the context is encrypted, and this app has no key for it.
    """
    batch = await changing.get(services, batch_id)
    writer = ErrorFileWriter(await _format_of(services, batch, opened_context(services, batch)))
    yield writer.header()
    chunk: list[RowError] = []
    async for error in changing.errors(services, batch_id):
        chunk.append(error)
        if len(chunk) == _ROWS:
            yield writer.rows(chunk)
            chunk = []
    if chunk:
        yield writer.rows(chunk)


async def _format_of(services: Services, batch: BatchJobData, context: Mapping[str, Any]) -> TableFormat:
    """Return how its file is written, as the context says it where it is a `FileParams`."""
    key = context.get("file")
    if not isinstance(key, str):
        raise _refused(batch, "its context names no file")
    stored = await services.file_storage.find(key)
    if stored is None:
        raise StoredFileNotFoundError(key)
    reader = TableReader(form_of(stored.name), encoding=context.get("encoding"), delimiter=context.get("delimiter"))
    try:
        async with services.file_storage.read(key) as blocks:
            async for block in blocks:
                reader.feed(block)
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
