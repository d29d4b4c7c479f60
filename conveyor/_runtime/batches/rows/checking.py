"""What becomes of a row before anything is written: it is read, and checked by its strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from conveyor._runtime.batches.rows.faults import TRANSIENT, UNBLAMED, bad_row
from conveyor.contracts.row_batches import RowBatchStrategy
from conveyor.errors import BatchJobError
from conveyor.model.batches.rows import RowPreview
from conveyor.model.batches.values import RowOutcome

if TYPE_CHECKING:
    from conveyor._runtime.batches.rows.blocks import RowBlock
    from conveyor._runtime.batches.rows.contexts import RunRowContext
    from conveyor._runtime.batches.rows.patience import Patience
    from conveyor.model.batches.values import RowError

__all__ = ["PASSED", "check_row", "has_check"]

RowT = TypeVar("RowT")

PASSED: Final = RowPreview()


def has_check(strategy: RowBatchStrategy[Any, Any]) -> bool:
    """Whether a strategy has a check of its own."""
    return type(strategy).check is not RowBatchStrategy.check


async def check_row(
    strategy: RowBatchStrategy[RowT, Any],
    context: RunRowContext[Any],
    patience: Patience,
    *,
    block: RowBlock[RowT],
    at: int,
) -> RowPreview | RowError:
    """Return what would become of a row of a block, by the check that the strategy has, or why it is bad."""
    number, row = block.numbers[at], block.rows[at]
    if row is None:
        return block.errors.get(number, PASSED)
    while True:
        context.mean((number,))
        try:
            verdict = await strategy.check(row, context)
        except TRANSIENT as exc:
            await patience.forgive(exc)
        except UNBLAMED:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever a user's check raises, it is this row that it looked at
            return bad_row(block.at(at), exc)
        else:
            return _preview(verdict, context)


def _preview(verdict: object, context: RunRowContext[Any]) -> RowPreview:
    if verdict is None:
        return PASSED
    if isinstance(verdict, RowPreview):
        return verdict
    if isinstance(verdict, RowOutcome):
        return RowPreview(verdict)
    raise BatchJobError(
        f"check must return a RowPreview, a RowOutcome or None, got {verdict!r}", batch_id=context.run.batch_job.id
    )
