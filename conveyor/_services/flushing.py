"""Flushing a buffer: its jobs are taken, reduced and added, a chunk at a time, each chunk in one step of the store."""

from __future__ import annotations

import logging
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio

from conveyor._services.adding_plans import add_plan
from conveyor._services.buffers import get_sizes, is_in_store
from conveyor._services.clearing import flush_cleared
from conveyor._services.flush_plans import make_plan, tell_reduced, went_on, with_new_id
from conveyor._services.takes import TAKEN_FOR, Take
from conveyor._services.unregistered import report_unregistered
from conveyor.errors import BufferError, BufferTakeLostError, DuplicateJobError, StoreError
from conveyor.model.buffers.news import BufferEventKind
from conveyor.model.buffers.values import FlushPlan, traces_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from conveyor._services.services import Services
    from conveyor.contracts.buffer_storage import TransactionalBufferStorage
    from conveyor.model.buffers.job_buffer import JobBuffer
    from conveyor.model.job import NewJob
    from conveyor.model.queries import AddReceipt

__all__ = ["flush", "flush_buffer"]

logger: Final = logging.getLogger("conveyor.buffers")

# So often in a row a flush takes what it lost; then it leaves the rest to the next one.
MOST_LOSSES: Final = 3
# How long it may take to hand back what a flush leaves behind that was cancelled or failed.
HAND_BACK_SECONDS: Final = 5.0


async def flush(services: Services, wanted: Collection[str] = ()) -> dict[str, list[NewJob]]:
    """Flush these buffers, all that are registered where none are named; return the jobs that were added, by buffer.

    One that is named, and has jobs, and is not registered is reported.

    Raises:
        BufferError: a buffer's `reduce` raised and its policy is to keep; the others were flushed.
    """
    unknown = {*wanted} - services.buffers.by_id.keys()
    if unknown:
        sizes = await get_sizes(services)
        report_unregistered({buffer_id: sizes[buffer_id] for buffer_id in unknown & sizes.keys()})
    added: dict[str, list[NewJob]] = {}
    failed: BufferError | None = None
    for buffer in [*services.buffers.by_id.values()]:
        if not wanted or buffer.id in wanted:
            try:
                added[buffer.id] = await flush_buffer(services, buffer)
            except BufferError as exc:
                if failed is not None:
                    # Only the first is raised.
                    logger.exception("buffer %s could not be flushed", buffer.id)
                failed = failed or exc
    if failed is not None:
        raise failed
    return added


async def flush_buffer(services: Services, buffer: JobBuffer) -> list[NewJob]:
    """Flush what is in one buffer now; return the jobs that were added.

    Another flush of it, wherever that goes on, leaves nothing for this one.
    """
    storage = services.buffers.transactional
    services.buffers.flushing += 1
    try:
        if storage is None:
            added, taken = await flush_cleared(services, services.buffers.storage, buffer)
        else:
            added, taken = await _flush_taken(services, storage, buffer)
    finally:
        services.buffers.flushing -= 1
    if taken:
        services.buffers.news.tell(BufferEventKind.FLUSHED, buffer.id, taken, len(added))
    return added


async def _flush_taken(
    services: Services, storage: TransactionalBufferStorage, buffer: JobBuffer
) -> tuple[list[NewJob], int]:
    size = (await storage.get_sizes()).get(buffer.id)
    left = 0 if size is None else size.jobs
    added: list[NewJob] = []
    flushed = losses = 0
    while left > 0 and losses < MOST_LOSSES:
        try:
            jobs, taken = await _flush_chunk(services, storage, buffer, min(left, buffer.chunk_size))
        except BufferTakeLostError as exc:
            # One of the jobs was cancelled; or another flush has the buffer, and then there is nothing to take.
            logger.warning("buffer %s: %s", buffer.id, exc.reason)
            losses += 1
            continue
        if not taken:
            break
        losses = 0
        left -= taken
        flushed += taken
        added += jobs
    return added, flushed


async def _flush_chunk(
    services: Services, storage: TransactionalBufferStorage, buffer: JobBuffer, limit: int
) -> tuple[list[NewJob], int]:
    async with _taken(services, storage, buffer.id, limit) as take:
        if take is None:
            return [], 0
        plan = await make_plan(services, buffer, take.jobs)
        async with take.committing(storage):
            plan, receipts = await _commit(services, storage, take, plan)
    logger.info("buffer %s: %d jobs were reduced to %d", buffer.id, len(plan.taken), len(plan.jobs))
    tell_reduced(services, buffer.id, plan, receipts)
    return went_on(plan, receipts), len(take.jobs)


@asynccontextmanager
async def _taken(
    services: Services, storage: TransactionalBufferStorage, buffer_id: str, limit: int
) -> AsyncIterator[Take | None]:
    """Hold jobs of a buffer while the context lasts, and hand them back where it fails; None: there are none."""
    token = secrets.token_hex(16)
    jobs = await storage.take(buffer_id, token, TAKEN_FOR, limit=limit)
    if not jobs:
        yield None
        return
    take = Take(buffer_id, token, jobs)
    try:
        with services.buffers.takes.holding(take):
            yield take
    except BaseException:
        await _hand_back(storage, token)
        raise


async def _hand_back(storage: TransactionalBufferStorage, token: str) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(HAND_BACK_SECONDS):
        try:
            await storage.release(token)
        except StoreError as exc:
            logger.warning("what a flush took is taken for up to %s more: %s", TAKEN_FOR, exc)


async def _commit(
    services: Services, storage: TransactionalBufferStorage, take: Take, plan: FlushPlan
) -> tuple[FlushPlan, Sequence[AddReceipt]]:
    if not is_in_store(services):
        # The queues are elsewhere. Who dies in between leaves jobs that the next flush adds again, under the same ids.
        plan, receipts = await add_plan(services, take.buffer_id, plan, [kept.job for kept in take.jobs])
        await storage.commit(take.token, FlushPlan(plan.taken, (), traces_of(plan, receipts)))
        return plan, receipts
    while True:
        try:
            return plan, await storage.commit(take.token, plan)
        except DuplicateJobError as exc:
            plan = with_new_id(services, plan, exc.key)
