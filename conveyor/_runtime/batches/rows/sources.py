"""The rows of a batch job, wherever they come from, begun after a row."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from conveyor._runtime.batches.rows.blocks import RowBlock
from conveyor._runtime.batches.rows.failed_rows import FailedRows, json_reader
from conveyor._runtime.batches.rows.files import open_file_rows, read_format, read_raw
from conveyor.codec.tables import RowLayout
from conveyor.contracts.file_storage import FileStorage
from conveyor.contracts.row_batches import FileRows, PagedRows, RowBatchStrategy
from conveyor.errors import ConfigurationError
from conveyor.model.batches.rows import SourceRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conveyor._runtime.batches.rows.blocks import RowReader
    from conveyor._runtime.batches.rows.patience import Watch
    from conveyor.contracts.row_batches import RowContext, RowSource
    from conveyor.contracts.strategy import Injector
    from conveyor.model.batches.values import RowError

__all__ = ["has_files", "last_row", "open_rows"]

RowT = TypeVar("RowT")


def has_files(strategy: RowBatchStrategy[Any, Any]) -> bool:
    """Whether the rows of a strategy come from the file that its context names."""
    return type(strategy).source is RowBatchStrategy.source


@asynccontextmanager
async def open_rows(
    strategy: RowBatchStrategy[RowT, Any], context: RowContext[Any], place: Any, injector: Injector
) -> AsyncIterator[RowReader[RowT]]:
    """Open the rows after a place, which is the `SourceRow.cursor` of a row; None: all rows.

    Those of a batch job with a parent are the bad ones of that.
    """
    number, cursor = last_row(place), None if place is None else place.get("at")
    source = strategy.source(context, cursor)
    parent_id = context.run.batch_job.parent_id
    if parent_id is not None:
        read = await _raw_reader(strategy, source, injector)
        yield FailedRows(strategy.batch_jobs, parent_id, number, read)
    elif isinstance(source, FileRows):
        storage = injector.get(FileStorage)
        async with open_file_rows(storage, source, RowLayout(strategy.row), place) as rows:
            yield rows
    else:
        items = _pages(source, cursor) if isinstance(source, PagedRows) else source
        if not hasattr(items, "__aiter__"):
            raise ConfigurationError(
                f"{type(strategy).__name__}.source must return an async iterator of (row, cursor), FileRows or "
                f"PagedRows, got {type(items).__name__}"
            )
        try:
            yield _Items(strategy, aiter(items), number)
        finally:
            # Where the run ends before the source: what it holds open is closed here, and not by the garbage collector.
            await _close(items)


def last_row(place: Any) -> int:
    """Return the number of the row of a place; 0 where that is before all rows."""
    return 0 if place is None else int(place["row"])


class _Items(Generic[RowT]):
    """A `RowReader` of rows that come each with its cursor."""

    def __init__(
        self, strategy: RowBatchStrategy[RowT, Any], items: AsyncIterator[tuple[RowT, Any]], number: int
    ) -> None:
        self._strategy = strategy
        self._items = items
        self._number = number

    async def take(self, most: int, watch: Watch) -> RowBlock[RowT]:
        """Return the next rows."""
        block: RowBlock[RowT] = RowBlock(_tell)
        rows, places = block.rows, block.places
        look_at = min(most, watch.look_at)
        # Nothing more in this loop: it goes through every row of a source.
        async for row, at in self._items:
            rows.append(row)
            places.append(at)
            if len(rows) >= look_at:
                if len(rows) >= most or watch.is_over(len(rows)):
                    break
                look_at = min(most, watch.look_at)
        # All at once, since they are nearly always of one class.
        for kind in set(map(type, rows)):
            if not issubclass(kind, self._strategy.row):
                raise self._wrong(kind)
        block.numbers += range(self._number + 1, self._number + 1 + len(rows))
        self._number += len(rows)
        return block

    def _wrong(self, kind: type[Any]) -> ConfigurationError:
        return ConfigurationError(
            f"{type(self._strategy).__name__}.source must give rows of the class {self._strategy.row.__name__}, each "
            f"with its cursor, got one of {kind.__name__}"
        )


def _tell(number: int, row: RowT | None, at: Any) -> SourceRow[RowT]:
    return SourceRow(number, {"row": number, "at": at}, row)


async def _raw_reader(
    strategy: RowBatchStrategy[RowT, Any], source: RowSource[RowT], injector: Injector
) -> Callable[[RowError], SourceRow[RowT]]:
    if not isinstance(source, FileRows):
        await _close(source)
        return json_reader(strategy.row)
    layout = RowLayout(strategy.row)
    table = await read_format(injector.get(FileStorage), source, layout)
    return lambda error: read_raw(error.raw, error.row_number, table, layout)


async def _close(source: object) -> None:
    if isinstance(source, AsyncGenerator):
        await source.aclose()


async def _pages(source: PagedRows[RowT], cursor: Any) -> AsyncGenerator[tuple[RowT, Any], None]:
    while page := await source.fetch(cursor, source.size):
        for row, at in page:
            yield row, at
            cursor = at
