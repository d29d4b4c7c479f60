"""Flushing a buffer: its jobs are taken, reduced and added, a chunk at a time, each chunk in one step of the store."""

from __future__ import annotations

import inspect
import logging
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
import uuid_utils
from attrs import evolve

from conveyor._services.buffers import is_in_store, wanted_ids
from conveyor.codec import decode_json, encode_json
from conveyor.errors import BufferError, BufferTakeLostError, DuplicateJobError, StoreError
from conveyor.model.buffers.job_buffer import ReduceErrorPolicy
from conveyor.model.buffers.news import BufferEventKind
from conveyor.model.buffers.reducing import check_reduced
from conveyor.model.buffers.values import BufferedJob, FlushPlan, KeptJob, traces_of
from conveyor.model.payload import arguments_of
from conveyor.model.queries import Added

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._services.services import Services
    from conveyor.contracts.buffer_storage import JobBufferStorageStrategy, TransactionalBufferStorage
    from conveyor.model.buffers.job_buffer import JobBuffer
    from conveyor.model.job import NewJob
    from conveyor.model.queries import AddReceipt

__all__ = ["flush", "flush_buffer"]

logger: Final = logging.getLogger("conveyor.buffers")

# How long a chunk may take, from its jobs being taken to their being added; then others may take them.
TAKEN_FOR: Final = timedelta(minutes=1)
# So often in a row a flush takes what it lost; then it leaves the rest to the next one.
MOST_LOSSES: Final = 3
# How long it may take to hand back what a flush leaves behind that was cancelled or failed.
HAND_BACK_SECONDS: Final = 5.0


async def flush(services: Services, buffer_ids: Sequence[str] | None) -> dict[str, list[NewJob]]:
    """Flush these buffers, all that are registered where none are named; return the jobs that were added, by buffer.

    Raises:
        BufferError: a buffer's `reduce` raised and its policy is to keep; the others were flushed.
    """
    wanted = wanted_ids(buffer_ids)
    added: dict[str, list[NewJob]] = {}
    failed: BufferError | None = None
    for buffer in [*services.buffers.by_id.values()]:
        if not wanted or buffer.id in wanted:
            try:
                added[buffer.id] = await flush_buffer(services, buffer)
            except BufferError as exc:
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
            added, taken = await _flush_cleared(services, services.buffers.storage, buffer)
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
    token = secrets.token_hex(16)
    kept = await storage.take(buffer.id, token, TAKEN_FOR, limit=limit)
    if not kept:
        return [], 0
    try:
        plan = await _make_plan(services, buffer, kept)
        plan, receipts = await _commit(services, storage, token, plan)
    except BaseException:
        await _hand_back(storage, token)
        raise
    logger.info("buffer %s: %d jobs were reduced to %d", buffer.id, len(plan.taken), len(plan.jobs))
    services.buffers.news.tell(BufferEventKind.REDUCED, buffer.id, len(plan.taken), len(plan.jobs))
    return _went(plan, receipts), len(kept)


async def _hand_back(storage: TransactionalBufferStorage, token: str) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(HAND_BACK_SECONDS):
        try:
            await storage.release(token)
        except StoreError as exc:
            logger.warning("what a flush took is taken for up to %s more: %s", TAKEN_FOR, exc)


async def _commit(
    services: Services, storage: TransactionalBufferStorage, token: str, plan: FlushPlan
) -> tuple[FlushPlan, Sequence[AddReceipt]]:
    while True:
        try:
            return plan, await _commit_once(services, storage, token, plan)
        except DuplicateJobError as exc:
            # Nobody is there to be told, and the work must not be lost: it goes on under an id of its own.
            new_id = str(uuid_utils.uuid7())
            logger.warning("another job has the id %s of one from a buffer, which is added as %s", exc.key, new_id)
            plan = _renamed(services, plan, exc.key, new_id)


async def _commit_once(
    services: Services, storage: TransactionalBufferStorage, token: str, plan: FlushPlan
) -> Sequence[AddReceipt]:
    if is_in_store(services):
        return await storage.commit(token, plan)
    # The queues are elsewhere. Who dies in between leaves jobs that the next flush adds again, under the same ids.
    receipts = await _add_plan(services, plan)
    await storage.commit(token, FlushPlan(plan.taken, (), traces_of(plan, receipts)))
    return receipts


def _renamed(services: Services, plan: FlushPlan, job_id: str, new_id: str) -> FlushPlan:
    merged = {other: new_id if into == job_id else into for other, into in plan.merged.items()}
    return evolve(
        plan,
        jobs=[_resealed(services, job, new_id) if job.id == job_id else job for job in plan.jobs],
        merged=merged | {job_id: new_id},
    )


def _resealed(services: Services, job: NewJob, new_id: str) -> NewJob:
    codec, renamed = services.payload_codec, evolve(job, id=new_id)
    if codec is None:
        return renamed
    return evolve(renamed, payload=codec.seal(codec.open(job.payload, arguments_of(job)), arguments_of(renamed)))


def _went(plan: FlushPlan, receipts: Sequence[AddReceipt]) -> list[NewJob]:
    return [
        job if receipt.outcome is Added.ADDED else evolve(job, id=receipt.job_id)
        for job, receipt in zip(plan.jobs, receipts, strict=True)
    ]


async def _flush_cleared(
    services: Services, storage: JobBufferStorageStrategy, buffer: JobBuffer
) -> tuple[list[NewJob], int]:
    """Flush a storage that clears before anything is added; what cannot be added is put back, after what came since."""
    places = services.buffers.places
    left = list((await storage.flush([buffer.id])).get(buffer.id, ()))
    count = len(left)
    added: list[NewJob] = []
    try:
        while left:
            now = services.buffers.now()
            chunk = left[: buffer.chunk_size]
            known = [places.get(job.id) for job in chunk]
            kept = [
                place.kept if place is not None and place.kept is not None else KeptJob(job, now)
                for job, place in zip(chunk, known, strict=True)
            ]
            plan = await _make_plan(services, buffer, kept)
            receipts = await _add_plan(services, plan)
            del left[: len(chunk)]
            for job_id in plan.taken:
                places.pop(job_id, None)
            services.buffers.note_merged(traces_of(plan, receipts))
            services.buffers.news.tell(BufferEventKind.REDUCED, buffer.id, len(chunk), len(plan.jobs))
            added += _went(plan, receipts)
    except BaseException:
        await _put_back(storage, buffer.id, left)
        raise
    return added, count


async def _put_back(storage: JobBufferStorageStrategy, buffer_id: str, left: Sequence[NewJob]) -> None:
    """Add jobs to their buffer again; where that fails or takes too long, say which are lost."""
    lost = [job.id for job in left]
    try:
        with anyio.CancelScope(shield=True), anyio.move_on_after(HAND_BACK_SECONDS):
            for job in left:
                await storage.add(buffer_id, job)
                lost.pop(0)
    finally:
        if lost:
            logger.error("buffer %s: %d jobs could not be put back and are lost: %s", buffer_id, len(lost), lost)


async def _add_plan(services: Services, plan: FlushPlan) -> Sequence[AddReceipt]:
    receipts = await services.job_queue.add_many(plan.jobs)
    for job, receipt in zip(plan.jobs, receipts, strict=True):
        if receipt.outcome is Added.DUPLICATE:
            raise DuplicateJobError(receipt.job_id, job.id, job.queue_name)
        if plan.failure is not None and receipt.outcome is Added.ADDED:
            await services.store.jobs.move_to_failed(receipt.job_id, plan.failure)
    return receipts


async def _make_plan(services: Services, buffer: JobBuffer, kept: Sequence[KeptJob]) -> FlushPlan:
    taken = [one.job.id for one in kept]
    try:
        return await _reduce(services, buffer, kept)
    except Exception as exc:
        policy = buffer.on_reduce_error
        if policy is ReduceErrorPolicy.DEAD_LETTER and not is_in_store(services):
            # There are no failed jobs to add to.
            policy = ReduceErrorPolicy.KEEP
        logger.error(  # noqa: TRY400 - the traceback is in it
            "buffer %s: reducing %d jobs failed; policy %s: %s",
            buffer.id,
            len(kept),
            policy,
            exc,
            exc_info=exc,
        )
        error = f"{type(exc).__name__}: {exc}"
        services.buffers.news.tell(BufferEventKind.REDUCE_FAILED, buffer.id, len(kept), error=error)
        match policy:
            case ReduceErrorPolicy.ADD_ORIGINALS:
                return FlushPlan(taken, [one.job for one in kept], {})
            case ReduceErrorPolicy.DEAD_LETTER:
                reason = f"buffer {buffer.id!r} could not reduce it: {type(exc).__name__}: {exc}"
                return FlushPlan(taken, [one.job for one in kept], {}, reason)
            case ReduceErrorPolicy.KEEP:
                if isinstance(exc, BufferError):
                    raise
                raise BufferError(
                    buffer.id, f"reduce raised {type(exc).__name__}: {exc}; its {len(kept)} jobs stay there"
                ) from exc


async def _reduce(services: Services, buffer: JobBuffer, kept: Sequence[KeptJob]) -> FlushPlan:
    answer = buffer.reduce([_shown(services, one) for one in kept])
    reduced = await answer if inspect.isawaitable(answer) else answer
    originals = {one.job.id: one.job for one in kept}
    merged = check_reduced(buffer.id, [*originals.values()], reduced)
    jobs: list[NewJob] = []
    for one in reduced:
        job = _with_data(services, originals[one.id], one.data)
        if job is not originals[one.id]:
            merged[job.id] = job.id
        jobs.append(job)
    return FlushPlan([one.job.id for one in kept], jobs, merged)


def _shown(services: Services, kept: KeptJob) -> BufferedJob:
    job = kept.job
    return BufferedJob(
        job.id, job.queue_name, job.name, decode_json(_opened(services, job)), job.options, kept.added_at
    )


def _opened(services: Services, job: NewJob) -> bytes:
    codec = services.payload_codec
    return job.payload if codec is None else codec.open(job.payload, arguments_of(job))


def _with_data(services: Services, job: NewJob, data: object) -> NewJob:
    """Return the job with these arguments; itself where they are what it has.

    Raises:
        PayloadError: they have no JSON form, or do not fit the handler of this program.
    """
    before, payload = _opened(services, job), encode_json(data)
    if payload in {before, encode_json(decode_json(before))}:
        return job
    handler = services.handlers.find(job.queue_name, job.name)
    if handler is not None:
        handler.arguments.check(payload, job.options.version)
    codec = services.payload_codec
    return evolve(job, payload=payload if codec is None else codec.seal(payload, arguments_of(job)))
