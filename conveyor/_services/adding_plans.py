"""Adding what a flush leaves to queues that are not in the app's store; what these refuse holds up no other job."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import evolve

from conveyor._services.flush_plans import renamed_job, with_new_id
from conveyor._services.heeding import capabilities_of
from conveyor.contracts.job_queue import BulkJobQueueStrategy
from conveyor.errors import CapabilityError, InvalidJobStateError, JobError, JobNotFoundError
from conveyor.model.buffers.values import timed_from
from conveyor.model.deduplication import CHANGEABLE_STATES
from conveyor.model.queries import Added, AddReceipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._services.services import Services
    from conveyor.contracts.store import JobStore
    from conveyor.model.buffers.values import FlushPlan
    from conveyor.model.job import NewJob

__all__ = ["FAILED_WITHIN", "add_plan", "fail"]

logger: Final = logging.getLogger("conveyor.buffers")

# Jobs that are to fail run at this time unless they have failed before: where their program dies in between.
FAILED_WITHIN: Final = timedelta(hours=1)

# What is wrong about one job, now and at the next flush. A job queue that cannot be reached raises StoreError.
_Refusal: TypeAlias = JobError | CapabilityError


async def add_plan(
    services: Services, buffer_id: str, plan: FlushPlan, taken: Sequence[NewJob]
) -> tuple[FlushPlan, Sequence[AddReceipt]]:
    """Add the jobs of a plan to their queues, and return the plan with what was added, under the ids that they got.

    Those whose id another job has are added after the others, which are not added twice. What the job queue refuses
    is taken apart into the jobs that were `taken`; one of those is set aside: in the app's store, as failed.
    """
    receipts: dict[str, AddReceipt] = {}
    originals = {job.id: job for job in taken}
    while jobs := [job for job in plan.jobs if job.id not in receipts]:
        for job, answer in zip(jobs, await _add_each(services, jobs), strict=True):
            if not isinstance(answer, AddReceipt):
                parts = _parts_of(plan, job, originals)
                plan = _without(plan, job, parts)
                for part in parts:
                    # Once only: a part that is refused has none.
                    del originals[part.id]
                if not parts:
                    await _set_aside(services, buffer_id, job, answer)
                    plan = evolve(plan, refused=[*plan.refused, job.id])
            elif answer.outcome is Added.DUPLICATE:
                plan = with_new_id(services, plan, job.id)
            else:
                receipts[job.id] = answer
    return plan, [receipts[job.id] for job in plan.jobs]


async def fail(jobs: JobStore, job_id: str, failure: str) -> None:
    """Let a job fail that a flush added just now; one that was there before and ran is left alone."""
    with suppress(InvalidJobStateError, JobNotFoundError):
        job = await jobs.find_job(job_id)
        if job is not None and job.state in CHANGEABLE_STATES:
            await jobs.move_to_failed(job_id, failure)


async def _add_each(services: Services, jobs: Sequence[NewJob]) -> list[AddReceipt | _Refusal]:
    """Add jobs; return what came of each."""
    job_queue = services.job_queue
    if capabilities_of(job_queue).runs_at_once:
        # What comes out of its add is what became of a run.
        return [*await services.adding.add_many(jobs)]
    if not isinstance(job_queue, BulkJobQueueStrategy):
        return [await _add_one(services, job) for job in jobs]
    if len(jobs) == 1:
        return [await _add_one(services, jobs[0])]
    try:
        return [*await services.adding.add_many(jobs)]
    except (JobError, CapabilityError):
        half = len(jobs) // 2
        return [*await _add_each(services, jobs[:half]), *await _add_each(services, jobs[half:])]


async def _add_one(services: Services, job: NewJob) -> AddReceipt | _Refusal:
    try:
        return await services.adding.add(job)
    except (JobError, CapabilityError) as refusal:
        return refusal


def _parts_of(plan: FlushPlan, job: NewJob, originals: dict[str, NewJob]) -> list[NewJob]:
    """Return the jobs as they were taken whose work this one does; none where it is one of them, as it was."""
    wanted = {job_id for job_id, into in plan.merged.items() if into == job.id} | {job.id}
    parts = [original for job_id, original in originals.items() if job_id in wanted]
    return [] if [part.payload for part in parts] == [job.payload] else parts


def _without(plan: FlushPlan, job: NewJob, parts: Sequence[NewJob]) -> FlushPlan:
    """Return the plan with these in the place of a job."""
    merged = plan.merged
    if parts:
        merged = {job_id: into for job_id, into in merged.items() if into != job.id}
    return evolve(plan, jobs=[*(one for one in plan.jobs if one.id != job.id), *parts], merged=merged)


async def _set_aside(services: Services, buffer_id: str, job: NewJob, refusal: _Refusal) -> None:
    """Keep a job in the app's store that its job queue refused, as a failed one that says why."""
    keeper = type(services.job_queue).__name__
    failure = f"{keeper} refused it when buffer {buffer_id!r} was flushed: {type(refusal).__name__}: {refusal}"
    logger.error(
        "buffer %s: job %r of queue %r (%s) is set aside as failed, in store %s: %s",
        buffer_id,
        job.id,
        job.queue_name,
        job.name,
        services.own_store.name,
        failure,
    )
    now = services.buffers.now()
    # Its deduplication key is the queue's, which has no such job.
    kept = evolve(timed_from(job, now), run_at=now + FAILED_WITHIN, deduplication=None)
    jobs = services.own_store.jobs
    (receipt,) = await jobs.save_jobs([kept])
    if receipt.outcome is Added.DUPLICATE:
        (receipt,) = await jobs.save_jobs([renamed_job(services, kept)])
    await fail(jobs, receipt.job_id, failure)
