"""The bad rows of another batch job, taken up again as they stood in its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from conveyor._runtime.batches.rows.faults import bad_row
from conveyor.codec import JsonCodec
from conveyor.errors import BadRowError, PayloadError
from conveyor.model.batches.rows import SourceRow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from conveyor.contracts.batch_job import BatchJobService
    from conveyor.model.batches.values import RowError

__all__ = ["failed_rows", "json_reader"]

RowT = TypeVar("RowT")

PAGE: Final = 500


async def failed_rows(
    batch_jobs: BatchJobService, batch_id: str, after: int, read: Callable[[RowError], SourceRow[RowT]]
) -> AsyncGenerator[SourceRow[RowT], None]:
    """Yield the bad rows of a batch job with numbers above `after`, under the numbers they had there."""
    while errors := await batch_jobs.get_errors(batch_id, after=after, limit=PAGE):
        for error in errors:
            yield read(error)
        after = errors[-1].row_number


def json_reader(row_class: type[RowT]) -> Callable[[RowError], SourceRow[RowT]]:
    """Return what reads rows that a source gave as objects, and that are kept as JSON.

    Raises:
        ConfigurationError: such rows cannot be read from JSON.
    """
    decode: Callable[[bytes], RowT] = JsonCodec().decoder(row_class)

    def read(error: RowError) -> SourceRow[RowT]:
        row: SourceRow[RowT] = SourceRow(error.row_number, {"row": error.row_number}, None, error.raw)
        try:
            row.row = decode(error.raw.encode())
        except PayloadError as exc:
            row.error = bad_row(row, BadRowError("unreadable", str(exc)))
        return row

    return read
