"""Faults in adding, settling and changing jobs, in whole queues, and in what is told to those who listen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint
from attrs import evolve

from conveyor._builtin.memory.jobs import MemoryJobs
from conveyor._builtin.memory.queues import MemoryQueues
from conveyor.model.job import AttemptOutcome
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.settlement import Refusal, RefusalReason, SettleReport
from conveyor.model.states import JobState
from tests.conformance.broken.bench import muted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from typing import Any

    from conveyor.model.job import JobData, NewJob
    from conveyor.model.locks import Lock
    from conveyor.model.settlement import Settlement


class OneByOne(MemoryJobs):
    """Adds several jobs as if they had come alone. Not a fault, but a place for some."""

    async def save_jobs(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        return [await self.save_job(job) for job in jobs]


class BulkSaveInPieces(MemoryJobs):
    """Adds one job after the other; who cancels it finds half of them."""

    async def save_jobs(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        receipts: list[AddReceipt] = []
        for job in jobs:
            receipts.append(await self.save_job(job))
            await checkpoint()
        return receipts


class DiscardForgotten(MemoryJobs):
    """Says that a job is tried no more, and tries it again."""

    async def discard(self, job_id: str, /) -> JobData:
        job = await super().discard(job_id)
        self._tables.jobs[job_id].is_discarded = False
        return job


class PutOffUnderItsLock(MemoryJobs):
    """Lets the run that put its job off end it all the same."""

    async def move_to_delayed(self, job_id: str, run_at: datetime, /) -> JobData:
        record = self._tables.job(job_id)
        if record.state is not JobState.ACTIVE:
            return await super().move_to_delayed(job_id, run_at)
        record.run_at = run_at
        return record.snapshot()


class NewPriorityAtTheOldPlace(MemoryJobs):
    """Writes the new priority down, and leaves the job in its line."""

    async def change_priority(self, job_id: str, priority: int, /) -> JobData:
        job = await super().change_priority(job_id, self._tables.job(job_id).priority)
        self._tables.job(job_id).priority = priority
        return evolve(job, priority=priority)


class RepeatedAddIsADuplicate(OneByOne):
    """Tells who adds again, after a lost answer, that somebody else was quicker."""

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        is_known = job.id in self._tables.jobs
        receipt = await super().save_job(job)
        return AddReceipt(job.id, Added.DUPLICATE) if is_known else receipt


class RepeatedAddStartsAnew(OneByOne):
    """Lets a job that has settled run a second time because its add was repeated."""

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        known = self._tables.jobs.get(job.id)
        if known is not None and known.state.is_settled:
            self._tables.remove(known)
        return await super().save_job(job)


class RepeatedAddComparesTheNewPayload(OneByOne):
    """Compares an add with what a rerun made of the job."""

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        known = self._tables.jobs.get(job.id)
        if known is not None and known.payload != job.payload:
            return AddReceipt(job.id, Added.DUPLICATE)
        return await super().save_job(job)


class PayloadReparsedAsJson(OneByOne):
    """Keeps what a payload means instead of what it is."""

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        return await super().save_job(evolve(job, payload=json.dumps(json.loads(job.payload)).encode()))


class ItsOwnDataHandedOut(MemoryJobs):
    """Gives every reader the same value to write on."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._handed_out: dict[str, JobData] = {}

    async def find_job(self, job_id: str, /) -> JobData | None:
        job = await super().find_job(job_id)
        handed_out = self._handed_out.get(job_id)
        if job is not None and handed_out is not None and handed_out.started_at == job.started_at:
            return handed_out
        if job is not None:
            self._handed_out[job_id] = job
        return job


class BulkSettleStopsAtTheFirstRefused(MemoryJobs):
    """Leaves the rest of the runs as they were once one had lost its lock."""

    async def settle_jobs(self, settlements: Sequence[Settlement], /, *args: Any, **kwargs: Any) -> SettleReport:
        for position, settlement in enumerate(settlements):
            report = await super().settle_jobs([settlement], *args, **kwargs)
            if report.refused:
                rest = settlements[position + 1 :]
                lost = [Refusal(one.job_id, one.token, RefusalReason.LOCK_LOST) for one in rest]
                return SettleReport([*report.refused, *lost], report.jobs)
        return await super().settle_jobs([], *args, **kwargs)


class RepeatedSettleRefused(MemoryJobs):
    """Tells who settles again, after a lost answer, that the lock was lost."""

    async def settle_jobs(self, settlements: Sequence[Settlement], /, *args: Any, **kwargs: Any) -> SettleReport:
        jobs = self._tables.jobs
        late = [one for one in settlements if one.job_id in jobs and jobs[one.job_id].session is None]
        report = await super().settle_jobs(settlements, *args, **kwargs)
        known = {refusal.job_id for refusal in report.refused}
        lost = [Refusal(one.job_id, one.token, RefusalReason.LOCK_LOST) for one in late if one.job_id not in known]
        return SettleReport([*report.refused, *lost], report.jobs)


class RemovedJobsForgotten(MemoryJobs):
    """Cannot tell the end of a run that it has applied once its job left no record."""

    async def settle_jobs(self, settlements: Sequence[Settlement], /, *args: Any, **kwargs: Any) -> SettleReport:
        report = await super().settle_jobs(settlements, *args, **kwargs)
        self._tables.removed._recent.clear()
        return report


class SnoozeCountsAnAttempt(MemoryJobs):
    """Charges the job for being put off."""

    async def settle_jobs(self, settlements: Sequence[Settlement], /, *args: Any, **kwargs: Any) -> SettleReport:
        return await super().settle_jobs([evolve(one, is_counted=True) for one in settlements], *args, **kwargs)


class SettleOutcomeNotCompared(MemoryJobs):
    """Takes any end of a run that has ended for the one it has applied."""

    async def settle_jobs(self, settlements: Sequence[Settlement], /, *args: Any, **kwargs: Any) -> SettleReport:
        report = await super().settle_jobs(settlements, *args, **kwargs)
        refused = [one for one in report.refused if not self._has_ended(one)]
        return SettleReport(refused, report.jobs)

    def _has_ended(self, refusal: Refusal) -> bool:
        record = self._tables.jobs.get(refusal.job_id)
        ended = () if record is None else record.attempts({})
        return any(one.token == refusal.token and one.outcome is not AttemptOutcome.STALLED for one in ended)


class DelayedJobsPromotedEarly(MemoryJobs):
    """Rounds the time to the next second."""

    async def promote_delayed_jobs(self, queue_names: Sequence[str], /, *, limit: int = 1000) -> int:
        promoted = 0
        for record in list(self._tables.jobs.values()):
            is_meant = record.state is JobState.DELAYED and record.queue.name in queue_names
            if is_meant and (record.run_at - self._tables.now()).total_seconds() < 1 and promoted < limit:
                record.queue.leave(record)
                record.queue.enter(record, JobState.WAITING)
                promoted += 1
        return promoted


class PromotionForgetsTheTime(MemoryJobs):
    """Makes promoted jobs available when somebody looked, not when they were due."""

    async def promote_delayed_jobs(self, queue_names: Sequence[str], /, *, limit: int = 1000) -> int:
        due = [record for queue in self._tables.existing(queue_names) for record in queue.delayed]
        promoted = await super().promote_delayed_jobs(queue_names, limit=limit)
        for record in due:
            if record.state is JobState.WAITING:
                record.queue.leave(record)
                record.queue.wait_from(record, self._tables.now())
        return promoted


class RunningJobsRemoved(MemoryJobs):
    """Deletes whatever it is told to delete."""

    async def remove_job(self, job_id: str, /) -> None:
        self._tables.remove(self._tables.job(job_id))


class RerunKeepsAttempts(MemoryJobs):
    """Counts on where the last life of the job ended."""

    async def rerun_job(self, job_id: str, payload: bytes | None = None, /) -> JobData:
        attempts = self._tables.job(job_id).attempts_made
        await super().rerun_job(job_id, payload)
        record = self._tables.job(job_id)
        record.attempts_made = attempts
        return record.snapshot()


class CountsOfAllQueues(MemoryQueues):
    """Counts the jobs of other queues too."""

    async def get_job_counts(self, queue_name: str, /) -> Mapping[JobState, int]:
        jobs = self._tables.jobs.values()
        return {state: sum(record.state is state for record in jobs) for state in JobState}


class ListsTurnedRound(MemoryQueues):
    """Lists the oldest end first."""

    async def list_jobs(
        self, queue_name: str, state: JobState, /, *, start: int = 0, end: int = 100
    ) -> Sequence[JobData]:
        whole = await super().list_jobs(queue_name, state, end=10_000)
        return whole[::-1][start:end]


class DrainTakesRunningJobs(MemoryQueues):
    """Empties the queue of everything that is not settled."""

    async def drain(self, queue_name: str, /) -> int:
        running = [record for record in self._tables.jobs.values() if record.state is JobState.ACTIVE]
        for record in running:
            if record.queue.name == queue_name:
                self._tables.remove(record)
        return await super().drain(queue_name) + len(running)


class CleanIgnoresTheGrace(MemoryQueues):
    """Removes what has only just ended."""

    async def clean(self, queue_name: str, state: JobState, grace: timedelta, /, *, limit: int = 1000) -> int:
        return await super().clean(queue_name, state, grace * 0, limit=limit)


class PromotionNotHeard(MemoryJobs):
    """Wakes nobody for jobs whose time has come."""

    async def promote_delayed_jobs(self, queue_names: Sequence[str], /, *, limit: int = 1000) -> int:
        with muted(self._tables):
            return await super().promote_delayed_jobs(queue_names, limit=limit)


class ReleaseNotHeard(MemoryJobs):
    """Wakes nobody for jobs that were handed back."""

    async def release_locks(self, locks: Sequence[Lock], /) -> Sequence[Lock]:
        with muted(self._tables):
            return await super().release_locks(locks)


class RerunNotHeard(MemoryJobs):
    """Wakes nobody for jobs that run again."""

    async def rerun_job(self, job_id: str, payload: bytes | None = None, /) -> JobData:
        with muted(self._tables):
            return await super().rerun_job(job_id, payload)


class CancelNotHeard(MemoryJobs):
    """Lets a worker run on with a job that was taken from it."""

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        with muted(self._tables):
            return await super().cancel_job(job_id, reason)
