"""The transactions of a batch job's run: rows, and how far the run is, in one commit."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from conveyor._runtime.transient import until_available
from conveyor._services.context import open_step
from conveyor.errors import BatchJobError, BatchRunLostError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from conveyor._runtime.batches.run import Run
    from conveyor._runtime.transient import Outage
    from conveyor.contracts.store import BatchStore, OpenTransaction, TransactionConnection
    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import BatchStep, RowError, RowOutcome

__all__ = ["RowTransaction", "open_rows"]

# How long a commit may take, also while the run is being cancelled.
COMMIT_SECONDS: Final = 5.0


class RowTransaction:
    """A `BatchTransaction`; see there."""

    def __init__(self, run: Run, connection: TransactionConnection) -> None:
        """Bind to a run, and to what rows are written with."""
        self.connection = connection
        self.step: BatchStep | None = None
        self._run = run

    def save(
        self,
        *,
        cursor: Any,
        done: int,
        total: int | None = None,
        counts: Mapping[RowOutcome, int] | None = None,
        errors: Sequence[RowError] = (),
        mended: Sequence[int] = (),
        message: str | None = None,
    ) -> None:
        """Say how far the run is once the transaction is committed."""
        if self.step is not None:
            raise BatchJobError(
                "a transaction of a batch job says once how far the run is", batch_id=self._run.batch_job.id
            )
        self.step = self._run.step(cursor, done, total, counts=counts, errors=errors, mended=mended, message=message)


@asynccontextmanager
async def open_rows(run: Run, batches: BatchStore, outage: Outage) -> AsyncIterator[RowTransaction]:
    """Open a transaction, and commit it with its step; that of a dry run is rolled back, and its step saved."""
    async with open_step(run.job) as transaction:
        rows = RowTransaction(run, transaction.connection)
        yield rows
        # A run that was told to stop commits nothing, also if it did not notice.
        await checkpoint_if_cancelled()
        step = rows.step
        if step is None:
            raise BatchJobError(
                "the transaction was rolled back: nobody said in it, by save(), how far the run is then",
                batch_id=run.batch_job.id,
            )
        status = None if run.is_dry_run else await _committed(transaction, run, step)
    if status is None:
        status = await until_available(
            lambda: batches.save_step(run.batch_job.id, run.token, step), "save how far a dry run is", outage
        )
    run.saved(step, status)


async def _committed(transaction: OpenTransaction, run: Run, step: BatchStep) -> BatchStatus:
    batch_id = run.batch_job.id
    try:
        return await _commit_step(transaction, run, step)
    except StoreUnavailableError as exc:
        # All of it took effect or nothing: the number of steps tells.
        found = await run.look()
        if found is None or found.run != run.token:
            raise BatchRunLostError(batch_id, run.token) from exc
        if found.steps < step.number:
            raise
        return found.status


async def _commit_step(transaction: OpenTransaction, run: Run, step: BatchStep) -> BatchStatus:
    with anyio.move_on_after(COMMIT_SECONDS, shield=True):
        return await transaction.commit_step(run.batch_job.id, run.token, step)
    raise StoreUnavailableError("the commit was not answered")
