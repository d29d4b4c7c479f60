"""Faults of strategies that keep jobs: the default one over a store, each broken in one way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve

from conveyor._builtin.store_queue import StoreJobQueue
from conveyor.errors import InvalidJobStateError
from conveyor.model.queries import AddReceipt, JobFilter
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.runtime import ProcessJob
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import Page


class FirstOfManyAdded(StoreJobQueue):
    """Adds only the first of several jobs, and says that it has added all."""

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        await super().add_many(jobs[:1])
        return [AddReceipt(job.id) for job in jobs]


class AddedInReverse(StoreJobQueue):
    """Adds several jobs from the last to the first."""

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        return (await super().add_many(jobs[::-1]))[::-1]


class EveryAddIsNew(StoreJobQueue):
    """Says that it has added a job whose id another has."""

    async def add(self, job: NewJob, /) -> AddReceipt:
        await super().add(job)
        return AddReceipt(job.id)


class DelaysDropped(StoreJobQueue):
    """Declares delays, and lets every job run at once."""

    async def add(self, job: NewJob, /) -> AddReceipt:
        return await super().add(evolve(job, delay=None))


class PrioritiesDropped(StoreJobQueue):
    """Declares priorities, and takes every job for as urgent as the others."""

    async def add(self, job: NewJob, /) -> AddReceipt:
        return await super().add(evolve(job, options=evolve(job.options, priority=0)))


class StopNamesWhatRuns(StoreJobQueue):
    """Says of a job that runs that it was handed back."""

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        await super().stop(queue_name, process)
        running = await self.find_many(JobFilter(states=(JobState.ACTIVE,)))
        return [job.id for job in running.jobs]


class FiltersIgnored(StoreJobQueue):
    """Finds every job, whatever is looked for."""

    async def find_many(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        del wanted
        return await super().find_many(JobFilter(), cursor=cursor, limit=limit, oldest_first=oldest_first)


class NewestFirstAlways(StoreJobQueue):
    """Sorts in one order only."""

    async def find_many(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        del oldest_first
        return await super().find_many(wanted, cursor=cursor, limit=limit)


class LimitsIgnored(StoreJobQueue):
    """Gives a page of whatever size it likes."""

    async def find_many(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        return await super().find_many(wanted, cursor=cursor, limit=10 * limit, oldest_first=oldest_first)


class FoundInItsOwnOrder(StoreJobQueue):
    """Answers ids in the order of the adds."""

    async def find_many_by_id(self, job_ids: Sequence[str], /) -> Sequence[JobData]:
        return sorted(await super().find_many_by_id(job_ids), key=lambda job: job.id)


class AgesIgnored(StoreJobQueue):
    """Removes what ended just now."""

    async def remove_settled_jobs(self, queue_names: Sequence[str], older_than: timedelta, /) -> int:
        del older_than
        return await super().remove_settled_jobs(queue_names, timedelta(0))


class CancelsWhatEnded(StoreJobQueue):
    """Takes a cancel of a job that has ended for done."""

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        try:
            return await super().cancel_job(job_id, reason)
        except InvalidJobStateError:
            job = await self.find_one(job_id)
            assert job is not None
            return job
