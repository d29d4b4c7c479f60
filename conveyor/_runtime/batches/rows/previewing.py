"""The look at all rows before anything is written: each is read, checked and counted, and the bad ones are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import anyio
from attrs import define, field

from conveyor._runtime.batches.rows.checking import PASSED, check_row, has_check
from conveyor._runtime.batches.rows.patience import Patience, Watch
from conveyor.errors import BadFileError, TooManyBadRowsError
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
# How many rows are read at once, and about how many bad ones wait to be kept.
MOST_ROWS: Final = 500
MOST_BAD: Final = 200


async def preview_rows(
    strategy: RowBatchStrategy[RowT, Any], context: RunRowContext[Any], rows: RowReader[RowT]
) -> dict[str, Any]:
    """Check every row; return what was found, and say so to the run, which keeps the bad rows.

    Raises:
        TooManyBadRowsError: more are bad than the strategy allows, and it is no dry run.
    """
    run, look, began_at = context.run, _Look(strategy, context), anyio.current_time()
    try:
        while block := await rows.take(MOST_ROWS, Watch(TELL_SECONDS)):
            await look.go_through(block)
    except BadFileError:
        await look.tell_rest()
        raise
    await look.tell_rest()
    total, tally = look.total, look.tally
    found = {"rows": total, **tally.to_json(), "check_seconds": round(anyio.current_time() - began_at, 3)}
    run.set_total(total)
    run.set_result({**(run.result or {}), "preview": found})
    failed = tally.counts[RowOutcome.FAILED]
    if strategy.errors.is_exceeded(failed, total, total) and not run.is_dry_run:
        raise TooManyBadRowsError(run.batch_job.id, strategy.errors.describe(), failed)
    return found


@define
class _Look(Generic[RowT]):
    """How far a look is, and what it found.

    Attributes:
        total: how many rows were looked at.
        tally: what they are.
    """

    strategy: RowBatchStrategy[RowT, Any]
    context: RunRowContext[Any]
    total: int = field(init=False, default=0)
    tally: RowTally = field(init=False, factory=RowTally)
    _checks: bool = field(init=False)
    _patience: Patience = field(init=False)
    # Bad rows that are not kept yet.
    _errors: list[RowError] = field(init=False, factory=list)
    _told: int = field(init=False, default=0)
    _watch: Watch = field(init=False, factory=lambda: Watch(TELL_SECONDS))

    def __attrs_post_init__(self) -> None:
        """Prepare for what the strategy has."""
        self._checks = has_check(self.strategy)
        self._patience = Patience(self.context.run)

    async def go_through(self, block: RowBlock[RowT]) -> None:
        """Look at the next rows.

        Raises:
            BatchStoppedError: it is to stop.
        """
        if self._checks:
            await self._check(block)
        else:
            self._count(block)
        self.total += len(block)
        if self._is_due(self.total):
            await self._tell(self.total)

    async def tell_rest(self) -> None:
        """Hand over the bad rows that are not kept yet."""
        if self._errors:
            await self._tell(self.total)

    async def _check(self, block: RowBlock[RowT]) -> None:
        for at, number in enumerate(block.numbers):
            checked = await check_row(self.strategy, self.context, self._patience, block=block, at=at)
            if isinstance(checked, RowError):
                self._add_bad(checked)
            else:
                self.tally.add(number, checked)
            rows = self.total + at + 1
            if self._is_due(rows):
                await self._tell(rows)

    def _count(self, block: RowBlock[RowT]) -> None:
        """Count rows that nobody checks."""
        bad = [block.errors[number] for number in block.numbers if number in block.errors] if block.errors else []
        if passed := len(block) - len(bad):
            self.tally.counts[PASSED.outcome] += passed
        for error in bad:
            self._add_bad(error)

    def _add_bad(self, error: RowError) -> None:
        self.tally.add_error(error)
        self._errors.append(error)

    def _is_due(self, rows: int) -> bool:
        return len(self._errors) >= MOST_BAD or self._watch.is_over(rows - self._told)

    async def _tell(self, rows: int) -> None:
        self._watch, self._told = Watch(TELL_SECONDS), rows
        errors, self._errors = self._errors, []
        await self.context.run.save(cursor=None, done=rows, errors=errors, message=f"{rows} rows checked")
