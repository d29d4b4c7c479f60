"""What the jobs of a batch type do: pre-process, and process, from where the run before ended to whatever the end is.

Every change of status is written before the job ends. So a worker that dies between any two steps leaves a job that is
run again, and finds by the status what is left to do; and what has ended is not begun anew.
"""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypedDict

import anyio
import uuid_utils

from conveyor._runtime.batches.estimating import add_estimate
from conveyor._runtime.batches.faults import is_only, said
from conveyor._runtime.batches.parts.leading import PartLeader
from conveyor._runtime.batches.parts.working import PartWork
from conveyor._runtime.batches.run import Run
from conveyor._runtime.transient import until_available
from conveyor._services.batches import changing
from conveyor._services.batches.jobs import new_work
from conveyor._services.context import JobContext
from conveyor.errors import (
    BatchJobNotFoundError,
    BatchPartFailedError,
    BatchRunLostError,
    BatchStoppedError,
    InvalidBatchStatusError,
    StoreUnavailableError,
)
from conveyor.model.batches.status import STOPPING_STATUSES, WORKED_STATUSES, BatchCommand, BatchStatus
from conveyor.model.batches.values import BatchChange, Confirmation, RowOutcome
from conveyor.model.outcomes import Cancel, Failed, Outcome, Snooze
from conveyor.model.retry import exponential, retry_delay

if TYPE_CHECKING:
    from typing import Unpack

    from conveyor._runtime.batches.service import BatchRuns
    from conveyor._services.batches.strategies import Strategy
    from conveyor.model.batches.values import BatchJobData
    from conveyor.model.job import NewJob

__all__ = ["BatchWork"]

logger: Final = logging.getLogger("conveyor.batches")

# How long it may take to say that a run was interrupted, and to clean up after one that was cancelled, while the
# program is being cancelled; without it, the next run finds out by itself.
LAST_WORDS_SECONDS: Final = 5.0
# The wait before a run that failed is tried again, by how often it was.
BACKOFF: Final = exponential("1s", max="5 minutes", jitter=0)
AT_ONCE: Final = Snooze(timedelta(0))

_STARTED_FROM: Final = frozenset({BatchStatus.CONFIRMED, BatchStatus.PROCESSING, BatchStatus.INTERRUPTED})


class _Written(TypedDict, total=False):
    """What a run writes with a change of status; see `BatchChange`."""

    run: str | None
    reason: str
    job: NewJob
    result: bytes | None
    total: int | None
    error: str | None
    is_retry: bool


class BatchWork:
    """Works for the batch jobs of one type."""

    def __init__(self, runs: BatchRuns, strategy: Strategy) -> None:
        """Bind to an app and a strategy."""
        self._runs = runs
        self._services = runs.services
        self._strategy = strategy
        self.parts: PartWork = PartWork(runs, strategy)
        self._leader = PartLeader(runs, strategy, self.parts)

    async def pre_process(self, context: JobContext, batch_id: str) -> Outcome | None:
        """Look at what is to be done, and confirm it where nobody else is to."""
        batch = await self._find(batch_id, context)
        if batch is not None and batch.status is BatchStatus.CREATED:
            run = Run(self._services, batch, context, token="", outage=self._runs.outage)
            try:
                with self._runs.entered(run):
                    await self._strategy.hooks.pre_process_batch_job(batch_id)
                await add_estimate(self._services, self._strategy, run, self._runs.outage)
            except Exception as exc:  # noqa: BLE001 - whatever a strategy raises is the batch job's failure
                return await self._after_looking(run, exc)
            batch = await self._change_if_ours(
                batch, BatchCommand.PRE_PROCESS, context, result=run.new_result(), total=run.total
            )
        if batch is not None and batch.status is BatchStatus.PRE_PROCESSED and self._is_confirmed_by_itself(batch):
            job = new_work(self._services, batch_id, batch.batch_type)
            await self._change_if_ours(batch, BatchCommand.CONFIRM, context, job=job)
        return None

    async def process(self, context: JobContext, batch_id: str) -> Outcome | None:
        """Process it from where the run before ended."""
        batch = await self._find(batch_id, context)
        if batch is None:
            return None
        if batch.status in STOPPING_STATUSES:
            # The run that was to stop died before it could.
            stopped = await self._change_if_ours(batch, BatchCommand.STOP, context)
            return await (self._look_again(batch_id, context) if stopped is None else self._outcome(stopped))
        if batch.status not in _STARTED_FROM:
            return None
        token = secrets.token_hex(16)
        batch = await self._change_if_ours(batch, BatchCommand.START, context, run=token)
        if batch is None:
            return await self._look_again(batch_id, context)
        lead = self._leader.lead
        run = Run(self._services, batch, context, token=token, outage=self._runs.outage, lead=lead)
        with self._runs.entered(run):
            try:
                return await self._work(run)
            except Exception as exc:  # noqa: BLE001 - as above
                return await self._after_error(run, exc)
            except BaseException:
                await self._say_last_words(run)
                raise

    async def _work(self, run: Run) -> Outcome | None:
        hooks, batch_id = self._strategy.hooks, run.batch_job.id
        await hooks.before_processing(batch_id)
        await hooks.process_job(batch_id)
        if run.is_told:
            # It let no error pass, and it is not through either.
            return await self._stopped(run)
        await hooks.post_process(batch_id)
        failed = run.batch_job.counts.get(RowOutcome.FAILED)
        command = BatchCommand.COMPLETE_WITH_ERRORS if failed else BatchCommand.COMPLETE
        ended = await self._change_if_ours(
            run.batch_job, command, run.job, run=run.token, result=run.new_result(), total=run.total
        )
        if ended is None:
            return await self._lost(run)
        try:
            await hooks.after_processing(batch_id)
        except Exception:
            logger.exception("batch job %s is completed, but its strategy could not act on that", batch_id)
        return None

    async def _after_error(self, run: Run, error: Exception) -> Outcome | None:
        if is_only(error, BatchRunLostError):
            return await self._lost(run)
        if is_only(error, BatchStoppedError):
            return await self._stopped(run)
        if await self._is_tried_again(run, error):
            return await self._interrupted(run, said(error), error)
        try:
            await self._strategy.hooks.handle_processing_error(run.batch_job.id, error)
        except Exception:
            logger.exception("the strategy of batch job %s could not clean up after an error", run.batch_job.id)
        return await self._failed(run, error)

    async def _after_looking(self, run: Run, error: Exception) -> Outcome | None:
        if is_only(error, BatchStoppedError):
            return AT_ONCE if run.job.stopping else None
        if isinstance(error, StoreUnavailableError):
            return Snooze(retry_delay(BACKOFF, 1, jitter=0))
        return await self._failed(run, error)

    async def _failed(self, run: Run, error: Exception) -> Outcome | None:
        batch = await self._change_if_ours(
            run.batch_job,
            BatchCommand.FAIL,
            run.job,
            run=run.token or None,
            # Its error is over once it is tried again; its history keeps why it failed then.
            reason=said(error),
            error=said(error),
            result=run.new_result(),
            total=run.total,
        )
        if batch is None:
            return await self._lost(run)
        await changing.told(self._services, batch, error)
        return Failed(error, retry=False)

    async def _is_tried_again(self, run: Run, error: Exception) -> bool:
        if isinstance(error, BatchPartFailedError):
            # It was tried again as often as it may be.
            return False
        if isinstance(error, StoreUnavailableError):
            # Whatever was on its way is kept or not: the next run finds out.
            return True
        batch = run.batch_job
        if batch.retries >= self._strategy.max_retries:
            return False
        try:
            return await self._strategy.hooks.should_retry_on_processing_error(batch, error)
        except Exception:
            logger.exception("the strategy of batch job %s could not say whether to try again", batch.id)
            return False

    async def _stopped(self, run: Run) -> Outcome | None:
        batch = await self._change_if_ours(run.batch_job, BatchCommand.STOP, run.job, run=run.token)
        if batch is not None:
            return await self._outcome(batch)
        # Its worker stops; or somebody resumed it meanwhile.
        return await self._interrupted(run, "its worker stops" if run.job.stopping else "it was resumed")

    async def _interrupted(self, run: Run, reason: str, error: Exception | None = None) -> Outcome | None:
        batch = await self._change_if_ours(
            run.batch_job,
            BatchCommand.INTERRUPT,
            run.job,
            run=run.token,
            reason=reason,
            error=None if error is None else said(error),
            # What the store could not do is no fault of the run.
            is_retry=error is not None and not isinstance(error, StoreUnavailableError),
            result=run.new_result(),
        )
        if batch is None:
            return await self._lost(run)
        return await self._outcome(batch, has_failed=error is not None)

    async def _say_last_words(self, run: Run) -> None:
        with anyio.move_on_after(LAST_WORDS_SECONDS, shield=True):
            try:
                await self._interrupted(run, "its worker was stopped")
            except Exception:
                # What stops the run is what counts, and the next one finds out by itself.
                logger.exception("batch job %s could not be marked as interrupted", run.batch_job.id)

    async def _lost(self, run: Run) -> Outcome | None:
        """End a run that may write nothing more: another one began, or somebody ended the batch job.

        Where the other one was begun by a worker that had lost the job, it cannot go on either: so this job looks
        again later. Its own end counts only if it is still the one that works for the batch job.
        """
        logger.info("a run of batch job %s may write nothing more: others went on with it", run.batch_job.id)
        return await self._look_again(run.batch_job.id, run.job)

    async def _look_again(self, batch_id: str, context: JobContext) -> Outcome | None:
        """Return that the job is to look again later, where the batch job would be left with nobody to work for it."""
        batch = await self._find(batch_id, context)
        is_worked = batch is not None and batch.status in WORKED_STATUSES
        return Snooze(retry_delay(BACKOFF, 1, jitter=0)) if is_worked else None

    async def _outcome(self, batch: BatchJobData, *, has_failed: bool = False) -> Outcome | None:
        """Return what becomes of the job after a run that did not end its batch job by itself."""
        if batch.status is BatchStatus.CANCELLED:
            await changing.told(self._services, batch, None)
            return Cancel(f"batch job {batch.id} was cancelled")
        if batch.status is BatchStatus.INTERRUPTED:
            return Snooze(retry_delay(BACKOFF, max(batch.retries, 1), jitter=0)) if has_failed else AT_ONCE
        return None

    def _is_confirmed_by_itself(self, batch: BatchJobData) -> bool:
        if batch.confirmation is Confirmation.MANUAL:
            return False
        most = self._strategy.confirm_above
        # Of how many rows nobody knows, there may be more.
        return most is None or (batch.total is not None and batch.total <= most)

    async def _find(self, batch_id: str, context: JobContext) -> BatchJobData | None:
        """Return the batch job that a job is to work for, if it still is."""
        store = self._services.batch_store("batch jobs")
        batch = await until_available(lambda: store.get_batch(batch_id), "look at a batch job", self._runs.outage)
        if batch is None or batch.job_id != context.job.id:
            context.log(f"batch job {batch_id} is gone, or another job works for it")
            return None
        return batch

    async def _change_if_ours(
        self, batch: BatchJobData, command: BatchCommand, context: JobContext, **written: Unpack[_Written]
    ) -> BatchJobData | None:
        """Change the status, and return what there is then; None: somebody else was there first."""
        store = self._services.batch_store("batch jobs")
        # Made once: when the answer is lost, the same change is asked for again.
        change = BatchChange(str(uuid_utils.uuid7()), command, if_job_id=context.job.id, **written)
        try:
            return await until_available(
                lambda: store.change_batch(batch.id, change), f"{command} a batch job", self._runs.outage
            )
        except (BatchRunLostError, InvalidBatchStatusError, BatchJobNotFoundError) as exc:
            logger.debug("%s was not done: %s", command, exc)
            return None
