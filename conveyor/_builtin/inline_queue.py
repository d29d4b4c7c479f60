"""The inline job queue strategy: a job runs while it is being added, in the task that adds it."""

from __future__ import annotations

from itertools import count
from operator import attrgetter, gt, lt
from typing import TYPE_CHECKING, Final

import anyio
from attrs import field, frozen

from conveyor.contracts.capabilities import CONTRACT_VERSION
from conveyor.contracts.clock import Clock
from conveyor.contracts.job_queue import JobQueueCapabilities
from conveyor.contracts.providers import JobQueueProvider
from conveyor.contracts.runtime import JobRunner
from conveyor.errors import CapabilityError, JobNotFoundError
from conveyor.hookspecs import hookimpl
from conveyor.model.checks import is_bool, is_count
from conveyor.model.job import AttemptOutcome, ErrorInfo, JobData, as_added, error_info
from conveyor.model.locks import LockToken
from conveyor.model.queries import Added, AddReceipt, Page, matches
from conveyor.model.states import Command, JobState, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.contracts.runtime import ProcessJob, RunEnd
    from conveyor.contracts.strategy import Injector
    from conveyor.model.job import NewJob
    from conveyor.model.queries import JobFilter
    from conveyor.model.settlement import Settlement

__all__ = ["InlineJobQueue", "InlineOptions", "conveyor_job_queues"]

ENDS: Final = {
    Command.COMPLETE: JobState.COMPLETED,
    Command.STOP: JobState.CANCELLED,
}
CAPABILITIES: Final = JobQueueCapabilities(
    has_unique_ids=True,
    runs_at_once=True,
    has_retries=True,
    # Nothing ever waits, so neither is ever broken.
    has_priorities=True,
    has_expiry=True,
)


@frozen
class InlineOptions:
    """How jobs run inline.

    Attributes:
        raise_on_failure: let what a handler raised at last come out of ``add``; the job is kept all the same.
        most_kept: how many jobs are remembered; beyond it the oldest that ended are forgotten.
    """

    raise_on_failure: bool = field(default=False, validator=is_bool)
    most_kept: int = field(default=1000, validator=is_count)


class InlineJobQueue:
    """A `JobQueueStrategy` for tests and scripts: ``add`` returns once the job has come to its end.

    Jobs are kept in memory until the app is closed. A retry follows at once, whatever its back-off says; `delay` and
    `run_at` are refused when a job is added, and a job that snoozes fails. There is no worker, and none is needed.
    """

    _runner: JobRunner
    _clock: Clock

    def __init__(self, options: InlineOptions = InlineOptions()) -> None:
        """Remember nothing yet."""
        self._options = options
        self._jobs: dict[str, JobData] = {}
        self._added: dict[str, NewJob] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._numbers = count(1)

    async def init(self, injector: Injector, /) -> None:
        """Take the clock, and what runs jobs."""
        self._runner = injector.get(JobRunner)
        self._clock = injector.get(Clock)

    async def destroy(self) -> None:
        """Forget every job."""
        self._jobs.clear()
        self._added.clear()

    @property
    def capabilities(self) -> JobQueueCapabilities:
        """What can be heeded where nothing waits."""
        return CAPABILITIES

    async def start(self, queue_name: str, process: ProcessJob, /) -> None:
        """Start nothing: a worker may be open, and has nothing to do."""

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:  # noqa: ARG002 - of the contract
        """Stop nothing: nothing was taken."""
        return ()

    async def add(self, job: NewJob, /) -> AddReceipt:
        """Run a job."""
        return (await self.add_many([job]))[0]

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Run jobs, one after another."""
        receipts = [self._receive(job) for job in jobs]
        for job, receipt in zip(jobs, receipts, strict=True):
            if receipt.outcome is Added.ADDED and self._jobs[job.id].state is JobState.WAITING:
                await self._run(self._jobs[job.id])
        return receipts

    def _receive(self, job: NewJob) -> AddReceipt:
        known = self._added.get(job.id)
        if known is not None:
            return AddReceipt(job.id, Added.ADDED if known == job else Added.DUPLICATE)
        self._forget_oldest()
        self._added[job.id] = job
        self._jobs[job.id] = as_added(job, self._clock.now())
        return AddReceipt(job.id)

    def _forget_oldest(self) -> None:
        if len(self._jobs) >= self._options.most_kept:
            oldest = next((job.id for job in self._jobs.values() if job.state.is_settled), None)
            if oldest is not None:
                self._forget(oldest)

    async def _run(self, job: JobData) -> None:
        """Run a job until it ends, attempt after attempt."""
        while not job.state.is_settled:
            job.state, job.started_at = JobState.ACTIVE, self._clock.now()
            job.token = LockToken("inline", next(self._numbers))
            end = await self._attempt(job)
            # Somebody may have cancelled it meanwhile: the first end stands.
            if end is None or job.state.is_settled:
                return
            self._apply(job, end.settlement)
            if job.state is JobState.FAILED and end.error is not None and self._options.raise_on_failure:
                raise end.error

    async def _attempt(self, job: JobData) -> RunEnd | None:
        """Run a job once; None: it was cancelled as a job, not with the task that added it."""
        end: RunEnd | None = None
        with anyio.CancelScope() as scope:
            self._scopes[job.id] = scope
            try:
                end = await self._runner.run(job)
            except BaseException:
                if not job.state.is_settled:
                    self._end(job, JobState.CANCELLED, ErrorInfo("Cancelled", "the task that added it was cancelled"))
                raise
            finally:
                del self._scopes[job.id]
        return end

    def _apply(self, job: JobData, settlement: Settlement) -> None:
        is_again = settlement.command in (Command.RETRY, Command.DELAY)
        job.attempts_made += settlement.is_counted
        job.error, job.result = settlement.error, settlement.result
        if is_again and settlement.outcome is AttemptOutcome.RETRIED:
            job.state = JobState.WAITING
        elif is_again or settlement.command is Command.WAIT_FOR_CHILDREN:
            refused = CapabilityError("inline", "has_delays", "a job that is put off", kind="job queue")
            self._end(job, JobState.FAILED, error_info(refused))
        else:
            self._end(job, ENDS.get(settlement.command, JobState.FAILED), settlement.error)
        if job.state.is_settled and settlement.is_removed:
            self._forget(job.id)

    def _end(self, job: JobData, state: JobState, error: ErrorInfo | None) -> None:
        job.state, job.error, job.finished_at = state, error, self._clock.now()

    def _forget(self, job_id: str) -> None:
        del self._jobs[job_id], self._added[job_id]

    async def find_one(self, job_id: str, /) -> JobData | None:
        """Return a job that is remembered."""
        return self._jobs.get(job_id)

    async def find_many_by_id(self, job_ids: Sequence[str], /) -> Sequence[JobData]:
        """Return those that are remembered."""
        return [self._jobs[job_id] for job_id in job_ids if job_id in self._jobs]

    async def find_many(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        """Search what is remembered."""
        is_after = gt if oldest_first else lt
        found = sorted(
            (
                job
                for job in self._jobs.values()
                if matches(job, wanted) and (cursor is None or is_after(job.id, cursor))
            ),
            key=attrgetter("id"),
            reverse=not oldest_first,
        )
        jobs = found[:limit]
        return Page(jobs, jobs[-1].id if len(found) > limit else None, self._clock.now())

    async def remove_settled_jobs(self, queue_names: Sequence[str], older_than: timedelta, /) -> int:
        """Forget jobs that ended."""
        before = self._clock.now() - older_than
        outdated = [
            job.id
            for job in self._jobs.values()
            if job.finished_at is not None
            and job.finished_at <= before
            and (not queue_names or job.queue_name in queue_names)
        ]
        for job_id in outdated:
            self._forget(job_id)
        return len(outdated)

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        """Cancel a job that runs, from another task or from its own handler."""
        job = self._jobs.get(job_id)
        if job is None:
            raise JobNotFoundError(job_id)
        if job.state.is_settled:
            raise refuse(job_id, job.state, Command.CANCEL, job.queue_name)
        self._end(job, JobState.CANCELLED, ErrorInfo("Cancelled", reason))
        if job_id in self._scopes:
            self._scopes[job_id].cancel()
        return job


@hookimpl
def conveyor_job_queues() -> Sequence[JobQueueProvider]:
    """Offer the strategy under the name "inline"."""
    return (
        JobQueueProvider(
            name="inline", create=InlineJobQueue, contract_version=CONTRACT_VERSION, options=InlineOptions
        ),
    )
