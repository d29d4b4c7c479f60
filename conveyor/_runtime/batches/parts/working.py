"""What works on one part of a batch job: a job of its own, or the job that leads the parts, between its other duties.

A part that is through is ended in the store, and so is one that failed. What else may happen leaves it open, and the
run that leads gives it another job, or works on it itself.
"""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor._runtime.batches.faults import is_only, said
from conveyor._runtime.batches.run import Run
from conveyor._runtime.transient import until_available
from conveyor._services.context import JobContext
from conveyor.errors import BatchRunLostError, BatchStoppedError, StoreUnavailableError
from conveyor.model.batches.parts import PartStart
from conveyor.model.batches.status import BatchStatus
from conveyor.model.outcomes import Failed, Outcome, Snooze

if TYPE_CHECKING:
    from conveyor._runtime.batches.service import BatchRuns
    from conveyor._services.batches.strategies import Strategy
    from conveyor.contracts.store import BatchPartStore
    from conveyor.model.batches.parts import BatchPart
    from conveyor.model.batches.values import BatchJobData

__all__ = ["PartWork"]

logger: Final = logging.getLogger("conveyor.batches")

# How long a part waits for a store that cannot be used, once core has given up to wait within the run.
OUTAGE_WAIT: Final = Snooze(timedelta(seconds=1))
AT_ONCE: Final = Snooze(timedelta(0))

_WORKED_IN: Final = frozenset({BatchStatus.PROCESSING, BatchStatus.INTERRUPTED})


class PartWork:
    """Works on parts of the batch jobs of one type."""

    def __init__(self, runs: BatchRuns, strategy: Strategy) -> None:
        """Bind to an app and a strategy."""
        self._runs = runs
        self._services = runs.services
        self._strategy = strategy

    @property
    def store(self) -> BatchPartStore:
        """Where the parts are kept."""
        return self._services.batch_part_store("parts of batch jobs")

    async def process(self, context: JobContext, batch_id: str, part: int) -> Outcome | None:
        """Work on a part, if it still is this job that is to."""
        batch, mine = await self._find(batch_id, part)
        if batch is None or mine is None or mine.is_done or mine.job_id != context.job.id:
            context.log(f"part {part} of batch job {batch_id} is gone or done, or another job works for it")
            return None
        if batch.status not in _WORKED_IN:
            # Once it goes on, its parts get other jobs.
            return None
        try:
            await self.work(batch, mine, context)
        except Exception as exc:  # noqa: BLE001 - whatever a strategy raises is the part's failure
            return await self._after_error(batch, mine, context, exc)
        return None

    async def work(self, batch: BatchJobData, part: BatchPart, context: JobContext) -> None:
        """Begin a run of a part for a job, and process it to its end.

        Raises:
            BatchRunLostError: another run works on it by now; so its rows are cared for.
            BatchStoppedError: the batch job is to stop, or the worker is.
            Exception: what else the strategy raises.
        """
        token = secrets.token_hex(16)
        start = PartStart(part.number, token, context.job.id, part.job_id)
        started = await until_available(
            lambda: self.store.start_part(batch.id, start), "begin a part of a batch job", self._runs.outage
        )
        run = Run(self._services, batch, context, token=token, outage=self._runs.outage, part=started)
        with self._runs.entered(run):
            await self._strategy.hooks.process_job(batch.id)
            if run.is_told:
                # It let no error pass, and it is not through either.
                raise BatchStoppedError(batch.id, "it was told so")
        await self._end(batch.id, part.number, token, None)

    async def _after_error(
        self, batch: BatchJobData, part: BatchPart, context: JobContext, error: Exception
    ) -> Outcome | None:
        if is_only(error, BatchRunLostError):
            context.log(f"another run works on part {part.number} of batch job {batch.id} by now")
            return None
        if is_only(error, BatchStoppedError):
            return AT_ONCE if context.stopping else None
        if isinstance(error, StoreUnavailableError):
            return OUTAGE_WAIT
        if context.attempt < context.job.options.attempts and await self._is_tried_again(batch, error):
            return Failed(error)
        _, mine = await self._find(batch.id, part.number)
        if mine is None or mine.run is None or mine.job_id != context.job.id:
            return None
        try:
            await self._end(batch.id, part.number, mine.run, said(error))
        except BatchRunLostError:
            context.log(f"batch job {batch.id} ended before part {part.number} could tell why it failed")
        return Failed(error, retry=False)

    async def _is_tried_again(self, batch: BatchJobData, error: Exception) -> bool:
        try:
            return await self._strategy.hooks.should_retry_on_processing_error(batch, error)
        except Exception:
            logger.exception("the strategy of batch job %s could not say whether to try again", batch.id)
            return False

    async def _end(self, batch_id: str, number: int, token: str, error: str | None) -> None:
        await until_available(
            lambda: self.store.end_part(batch_id, number, token, error=error),
            "end a part of a batch job",
            self._runs.outage,
        )
        self._runs.ring(batch_id)

    async def _find(self, batch_id: str, number: int) -> tuple[BatchJobData | None, BatchPart | None]:
        batches = self._services.batch_store("parts of batch jobs")
        batch = await until_available(lambda: batches.get_batch(batch_id), "look at a batch job", self._runs.outage)
        parts = await until_available(lambda: self.store.get_parts(batch_id), "look at its parts", self._runs.outage)
        return batch, next((part for part in parts if part.number == number), None)
