"""Faults in deduplication: keys held for too long or too short a time, and adds that answer what they did not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.lowlevel import checkpoint
from attrs import evolve

from conveyor.model.deduplication import DeduplicationMode
from conveyor.model.queries import Added, AddReceipt
from tests.conformance.broken.commands import OneByOne

if TYPE_CHECKING:
    from conveyor.model.job import JobData, NewJob


class KeyLookedUpFirst(OneByOne):
    """Looks whether a key is held, and adds a moment later."""

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        asked = job.deduplication
        if asked is None:
            return await super().save_job(job)
        held = await self.find_by_deduplication_key(job.queue_name, job.name, asked.key or "")
        await checkpoint()
        if held is None:
            self._tables.queue(job.queue_name).keys._holds.pop((job.name, asked.key or ""), None)
        return await super().save_job(job)


class KeptIsCalledAdded(OneByOne):
    """Tells whoever meets a key that the job was added, as the seed does."""

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        receipt = await super().save_job(job)
        return AddReceipt(receipt.job_id) if receipt.outcome is Added.KEPT else receipt


class NameNotInTheKey(OneByOne):
    """Takes two jobs of different names for one, because their key is the same."""

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        return await super().save_job(job if job.deduplication is None else evolve(job, name="any"))


class AnswersForgotten(OneByOne):
    """Puts a job off once more when the add that put it off is repeated."""

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        self._tables.answers._receipts.clear()
        self._tables.answers._order.clear()
        return await super().save_job(job)


class WindowEndsWithItsJob(OneByOne):
    """Lets a removed job take its window with it."""

    async def remove_job(self, job_id: str, /) -> None:
        record = self._tables.job(job_id)
        await super().remove_job(job_id)
        if record.key is not None:
            record.queue.keys._holds.pop(record.key, None)


class RunningJobsReplaced(OneByOne):
    """Gives a job that runs other arguments, which its run never sees."""

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        asked = job.deduplication
        held = None
        if asked is not None and asked.mode is DeduplicationMode.REPLACE:
            held = await self.find_by_deduplication_key(job.queue_name, job.name, asked.key or "")
        if held is None:
            return await super().save_job(job)
        self._tables.jobs[held.id].payload = job.payload
        return AddReceipt(held.id, Added.REPLACED)


class TimeOfAKeyIgnored(OneByOne):
    """Holds a key for as long as its job lives, however short its time."""

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        asked = job.deduplication
        if asked is not None and asked.mode is not DeduplicationMode.THROTTLE:
            job = evolve(job, deduplication=evolve(asked, ttl=None))
        return await super().save_job(job)


class RerunTakesTheKeyBack(OneByOne):
    """Gives a rerun job its key again that another has by now."""

    async def rerun_job(self, job_id: str, payload: bytes | None = None, /) -> JobData:
        job = await super().rerun_job(job_id, payload)
        record = self._tables.jobs[job_id]
        if record.key is not None:
            record.queue.keys.take(record.key, job_id, None, self._tables.now())
        return job
