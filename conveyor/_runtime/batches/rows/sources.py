"""The rows of a batch job as one stream, wherever they come from, begun after a cursor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from conveyor.contracts.row_batches import PagedRows
from conveyor.errors import ConfigurationError
from conveyor.model.batches.rows import SourceRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.batch_job import BatchRun
    from conveyor.contracts.row_batches import RowBatchStrategy, RowSource

__all__ = ["open_rows"]

RowT = TypeVar("RowT")


@asynccontextmanager
async def open_rows(
    strategy: RowBatchStrategy[RowT, Any], run: BatchRun, place: Any
) -> AsyncIterator[AsyncIterator[SourceRow[RowT]]]:
    """Open the rows after a place, which is the `SourceRow.cursor` of a row; None: all rows."""
    number, cursor = (0, None) if place is None else (place["row"], place["at"])
    source = strategy.source(run, cursor)
    async with aclosing(_numbered(strategy, source, number, cursor)) as rows:
        yield rows


async def _numbered(
    strategy: RowBatchStrategy[RowT, Any], source: RowSource[RowT], number: int, cursor: Any
) -> AsyncGenerator[SourceRow[RowT], None]:
    items = _pages(source, cursor) if isinstance(source, PagedRows) else source
    if not hasattr(items, "__aiter__"):
        raise ConfigurationError(
            f"{type(strategy).__name__}.source must return an async iterator of (row, cursor) or PagedRows, "
            f"got {type(items).__name__}"
        )
    try:
        async for row, at in items:
            number += 1
            yield SourceRow(number, {"row": number, "at": at}, row)
    finally:
        # Where the run ends before the source: what it holds open is closed here, and not by the garbage collector.
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def _pages(source: PagedRows[RowT], cursor: Any) -> AsyncGenerator[tuple[RowT, Any], None]:
    while page := await source.fetch(cursor, source.size):
        for row, at in page:
            yield row, at
            cursor = at
