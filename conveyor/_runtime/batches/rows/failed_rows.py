"""The bad rows of another batch job, taken up again as they stood in its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from conveyor._runtime.batches.rows.blocks import RowBlock
from conveyor._runtime.batches.rows.faults import bad_row
from conveyor.codec import JsonCodec
from conveyor.errors import BadRowError, PayloadError
from conveyor.model.batches.rows import SourceRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor._runtime.batches.rows.patience import Watch
    from conveyor.contracts.batch_job import BatchJobService
    from conveyor.model.batches.values import RowError

__all__ = ["FailedRows", "json_reader"]

RowT = TypeVar("RowT")


class FailedRows(Generic[RowT]):
    """A `RowReader` of the bad rows of a batch job, under the numbers they had there.

    The row that ended its run is left to it: it goes on with that once it is tried again.
    """

    def __init__(
        self, batch_jobs: BatchJobService, batch_id: str, after: int, read: Callable[[RowError], SourceRow[RowT]]
    ) -> None:
        """Begin after the row of a number."""
        self._batch_jobs = batch_jobs
        self._batch_id = batch_id
        self._after = after
        self._read = read

    async def take(self, most: int, _: Watch, /) -> RowBlock[RowT]:
        """Return the next rows."""
        block: RowBlock[RowT] = RowBlock(lambda _number, _row, place: place)
        while not block:
            errors = await self._batch_jobs.get_errors(self._batch_id, after=self._after, limit=most)
            if not errors:
                break
            for error in errors:
                if not error.ended_run:
                    row = self._read(error)
                    block.add(row, row)
            self._after = errors[-1].row_number
        return block


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
