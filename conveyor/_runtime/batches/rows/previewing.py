"""The look at all rows before anything is written: each is read, checked and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from conveyor._runtime.batches.rows.checking import PASSED, check_row, has_check
from conveyor._runtime.batches.rows.patience import Patience, Watch
from conveyor.errors import TooManyBadRowsError
from conveyor.model.batches.rows import RowTally
from conveyor.model.batches.values import RowError, RowOutcome

if TYPE_CHECKING:
    from conveyor._runtime.batches.rows.blocks import RowBlock, RowReader
    from conveyor._runtime.batches.rows.contexts import RunRowContext
    from conveyor.contracts.row_batches import RowBatchStrategy

__all__ = ["preview_rows"]

RowT = TypeVar("RowT")

# How often it says how far it is, and looks whether it is to stop.
TELL_SECONDS: Final = 1.0
# How many rows are read at once.
MOST_ROWS: Final = 500


async def preview_rows(
    strategy: RowBatchStrategy[RowT, Any], context: RunRowContext[Any], rows: RowReader[RowT]
) -> dict[str, Any]:
    """Check every row; return what was found, and say so to the run.

    Raises:
        TooManyBadRowsError: more are bad than the strategy allows, and it is no dry run.
    """
    run, tally, patience = context.run, RowTally(), Patience(context.run)
    began_at, total, watch = anyio.current_time(), 0, Watch(TELL_SECONDS)
    checks, told = has_check(strategy), 0
    while block := await rows.take(MOST_ROWS, Watch(TELL_SECONDS)):
        if not checks:
            _count(block, tally)
        for at in range(len(block) if checks else 0):
            checked = await check_row(strategy, context, patience, block=block, at=at)
            if isinstance(checked, RowError):
                tally.add_error(checked)
            else:
                tally.add(block.numbers[at], checked)
            if watch.is_over(total + at + 1 - told):
                watch, told = Watch(TELL_SECONDS), total + at + 1
                await run.save(cursor=None, done=told, message=f"{told} rows checked")
        total += len(block)
        if watch.is_over(total - told):
            watch, told = Watch(TELL_SECONDS), total
            await run.save(cursor=None, done=total, message=f"{total} rows checked")
    found = {"rows": total, **tally.to_json(), "check_seconds": round(anyio.current_time() - began_at, 3)}
    run.set_total(total)
    run.set_result({**(run.result or {}), "preview": found})
    failed = tally.counts[RowOutcome.FAILED]
    if strategy.errors.is_exceeded(failed, total, total) and not run.is_dry_run:
        raise TooManyBadRowsError(run.batch_job.id, strategy.errors.describe(), failed)
    return found


def _count(block: RowBlock[Any], tally: RowTally) -> None:
    """Count rows that nobody checks."""
    bad = [block.errors[number] for number in block.numbers if number in block.errors] if block.errors else []
    if passed := len(block) - len(bad):
        tally.counts[PASSED.outcome] += passed
    for error in bad:
        tally.add_error(error)
