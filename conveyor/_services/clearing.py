"""Flushing a storage that clears a buffer before its jobs are added."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio
from attrs import evolve

from conveyor._services.adding_plans import FAILED_WITHIN, add_plan, fail
from conveyor._services.flush_plans import make_plan, renamed_job, tell_reduced, went_on
from conveyor._services.known_jobs import is_same
from conveyor.model.buffers.values import KeptJob, timed_from, traces_of
from conveyor.model.queries import Added

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._services.services import Services
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
    from conveyor.model.buffers.job_buffer import JobBuffer
    from conveyor.model.buffers.values import FlushPlan
    from conveyor.model.job import NewJob
    from conveyor.model.queries import AddReceipt

__all__ = ["flush_cleared"]

logger: Final = logging.getLogger("conveyor.buffers")

# How long it may take to put back what a flush leaves behind that was cancelled or failed.
PUT_BACK_SECONDS: Final = 5.0


async def flush_cleared(
    services: Services, storage: JobBufferStorageStrategy, buffer: JobBuffer
) -> tuple[list[NewJob], int]:
    """Flush a storage that clears before anything is added; what cannot be added is put back.

    Return the jobs that were added, and how many were cleared.
    """
    known = services.buffers.known
    cleared = known.in_order((await storage.flush([buffer.id])).get(buffer.id, ()))
    known.note_taken(cleared, is_taken=True)
    left = _each_once(services, cleared)
    added: list[NewJob] = []
    try:
        while left:
            chunk = left[: buffer.chunk_size]
            plan, receipts = await _flush_chunk(services, buffer, chunk)
            del left[: len(chunk)]
            known.leave(plan.taken, traces_of(plan, receipts))
            tell_reduced(services, buffer.id, plan, receipts)
            added += went_on(plan, receipts)
    except BaseException:
        known.note_taken(left, is_taken=False)
        await _put_back(services, storage, buffer.id, left)
        raise
    return added, len(cleared)


def _each_once(services: Services, jobs: Sequence[NewJob]) -> list[NewJob]:
    """Return jobs without the same adds again; others under an id that one of them has, under ids of their own."""
    each: dict[str, NewJob] = {}
    for job in jobs:
        mine = each.setdefault(job.id, job)
        if not is_same(mine, job):
            renamed = renamed_job(services, job)
            each[renamed.id] = renamed
    return [*each.values()]


async def _flush_chunk(
    services: Services, buffer: JobBuffer, chunk: Sequence[NewJob]
) -> tuple[FlushPlan, Sequence[AddReceipt]]:
    known, now = services.buffers.known, services.buffers.now()
    plan = await make_plan(services, buffer, [known.kept(job.id) or KeptJob(job, now) for job in chunk])
    if plan.failure is None:
        return await add_plan(services, buffer.id, plan, chunk)
    later = now + FAILED_WITHIN
    jobs = [evolve(timed_from(job, now), run_at=later) for job in plan.jobs]
    plan, receipts = await add_plan(services, buffer.id, evolve(plan, jobs=jobs), chunk)
    for job_id in [receipt.job_id for receipt in receipts if receipt.outcome is Added.ADDED]:
        await fail(services.store.jobs, job_id, plan.failure or "")
    return plan, receipts


async def _put_back(
    services: Services, storage: JobBufferStorageStrategy, buffer_id: str, left: Sequence[NewJob]
) -> None:
    """Add jobs to their buffer again; where that fails or takes too long, say which are lost."""
    lost = [job.id for job in left]
    try:
        with anyio.CancelScope(shield=True), anyio.move_on_after(PUT_BACK_SECONDS):
            for job in left:
                await storage.add(buffer_id, job)
                lost.pop(0)
    finally:
        if lost:
            services.buffers.known.leave(lost, {})
            logger.error("buffer %s: %d jobs could not be put back and are lost: %s", buffer_id, len(lost), lost)
