"""The look at all rows before anything is written: each is read, checked and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from conveyor._runtime.batches.rows.checking import check_row
from conveyor._runtime.batches.rows.patience import Patience, Watch
from conveyor.errors import TooManyBadRowsError
from conveyor.model.batches.rows import RowTally
from conveyor.model.batches.values import RowError, RowOutcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor._runtime.batches.rows.contexts import RunRowContext
    from conveyor.contracts.row_batches import RowBatchStrategy
    from conveyor.model.batches.rows import SourceRow

__all__ = ["preview_rows"]

RowT = TypeVar("RowT")

# How often it says how far it is, and looks whether it is to stop.
TELL_SECONDS: Final = 1.0


async def preview_rows(
    strategy: RowBatchStrategy[RowT, Any], context: RunRowContext[Any], rows: AsyncIterator[SourceRow[RowT]]
) -> dict[str, Any]:
    """Check every row; return what was found, and say so to the run.

    Raises:
        TooManyBadRowsError: more are bad than the strategy allows, and it is no dry run.
    """
    run, tally, patience = context.run, RowTally(), Patience(context.run)
    began_at, watch, total = anyio.current_time(), Watch(TELL_SECONDS), 0
    async for row in rows:
        checked = await check_row(strategy, context, patience, row)
        if isinstance(checked, RowError):
            tally.add_error(checked)
        else:
            tally.add(row.number, checked)
        total += 1
        if watch.is_over():
            watch = Watch(TELL_SECONDS)
            await run.save(cursor=None, done=total, message=f"{total} rows checked")
    found = {"rows": total, **tally.to_json(), "check_seconds": round(anyio.current_time() - began_at, 3)}
    run.set_total(total)
    run.set_result({**(run.result or {}), "preview": found})
    failed = tally.counts[RowOutcome.FAILED]
    if strategy.errors.is_exceeded(failed, total, total) and not run.is_dry_run:
        raise TooManyBadRowsError(run.batch_job.id, strategy.errors.describe(), failed)
    return found
