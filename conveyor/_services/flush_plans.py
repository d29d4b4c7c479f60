"""What becomes of a chunk of buffered jobs: they are shown to `reduce`, and its answer is checked and made a plan."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Final

import uuid_utils
from attrs import evolve

from conveyor._services.buffers import is_in_store
from conveyor.codec import decode_json, encode_json
from conveyor.errors import BufferError
from conveyor.model.buffers.job_buffer import ReduceErrorPolicy
from conveyor.model.buffers.news import BufferEventKind
from conveyor.model.buffers.reducing import check_reduced, later_expiries
from conveyor.model.buffers.values import FlushPlan, shown_as
from conveyor.model.payload import arguments_of
from conveyor.model.queries import Added

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._services.services import Services
    from conveyor.model.buffers.job_buffer import JobBuffer
    from conveyor.model.buffers.values import KeptJob
    from conveyor.model.job import NewJob
    from conveyor.model.queries import AddReceipt

__all__ = ["make_plan", "renamed_job", "tell_reduced", "went_on", "with_new_id"]

logger: Final = logging.getLogger("conveyor.buffers")


async def make_plan(services: Services, buffer: JobBuffer, kept: Sequence[KeptJob]) -> FlushPlan:
    """Return what becomes of jobs that were taken from a buffer; where `reduce` raises, its policy says.

    Raises:
        BufferError: `reduce` raised, and the buffer keeps the jobs then. Whoever catches it tells of it.
    """
    try:
        return await _reduce(services, buffer, kept)
    except Exception as exc:
        error = f"{type(exc).__name__}: {exc}"
        services.buffers.news.tell(BufferEventKind.REDUCE_FAILED, buffer.id, len(kept), error=error)
        if _is_kept(services, buffer):
            if isinstance(exc, BufferError):
                raise
            raise BufferError(buffer.id, f"reduce raised {error}; its {len(kept)} jobs stay there") from exc
        is_dead = buffer.on_reduce_error is ReduceErrorPolicy.DEAD_LETTER
        fate = "they are added as failed jobs" if is_dead else "they are added as they are"
        logger.exception("buffer %s: reducing %d jobs failed, and %s", buffer.id, len(kept), fate)
        jobs = [one.job for one in kept]
        failure = f"buffer {buffer.id!r} could not reduce it: {error}" if is_dead else None
        return FlushPlan([job.id for job in jobs], jobs, {}, failure)


def _is_kept(services: Services, buffer: JobBuffer) -> bool:
    """Return whether jobs that cannot be reduced stay: also where there are no failed jobs for them to be."""
    policy = buffer.on_reduce_error
    return policy is ReduceErrorPolicy.KEEP or (policy is ReduceErrorPolicy.DEAD_LETTER and not is_in_store(services))


def tell_reduced(services: Services, buffer_id: str, plan: FlushPlan, receipts: Sequence[AddReceipt]) -> None:
    """Tell of a chunk that was reduced and added."""
    # Those that are jobs of their own by now, be it under a new id; all others went into one.
    went_on = sum(receipt.outcome is Added.ADDED for receipt in receipts)
    refused = len(plan.refused)
    services.buffers.news.tell(
        BufferEventKind.REDUCED,
        buffer_id,
        len(plan.taken),
        len(plan.jobs),
        merged=len(plan.taken) - went_on - refused,
        dead_letters=refused if plan.failure is None else went_on,
    )


def with_new_id(services: Services, plan: FlushPlan, job_id: str) -> FlushPlan:
    """Return a plan that adds one job under another id, since a job that is not the same has it.

    Nobody is there to be told, and the work must not be lost: it goes on under an id of its own.
    """
    (renamed,) = (renamed_job(services, job) for job in plan.jobs if job.id == job_id)
    new_id = renamed.id
    merged = {other: new_id if into == job_id else into for other, into in plan.merged.items()}
    return evolve(
        plan,
        jobs=[renamed if job.id == job_id else job for job in plan.jobs],
        merged=merged | {job_id: new_id},
    )


def renamed_job(services: Services, job: NewJob) -> NewJob:
    """Return the job under a new id, sealed for that."""
    codec, renamed = services.payload_codec, evolve(job, id=str(uuid_utils.uuid7()))
    logger.warning("another job has the id %s of one from a buffer, which is added as %s", job.id, renamed.id)
    if codec is None:
        return renamed
    return evolve(renamed, payload=codec.seal(codec.open(job.payload, arguments_of(job)), arguments_of(renamed)))


def went_on(plan: FlushPlan, receipts: Sequence[AddReceipt]) -> list[NewJob]:
    """Return the jobs that a plan's went on as: another where that had a deduplication key."""
    return [
        job if receipt.outcome is Added.ADDED else evolve(job, id=receipt.job_id)
        for job, receipt in zip(plan.jobs, receipts, strict=True)
    ]


async def _reduce(services: Services, buffer: JobBuffer, kept: Sequence[KeptJob]) -> FlushPlan:
    now = services.buffers.now()
    answer = buffer.reduce([shown_as(one.job, _data_of(services, one.job), one.added_at, now) for one in kept])
    reduced = await answer if inspect.isawaitable(answer) else answer
    originals = {one.job.id: one.job for one in kept}
    merged = check_reduced(buffer.id, [*originals.values()], reduced)
    expiries = later_expiries(originals, merged)
    jobs: list[NewJob] = []
    for one in reduced:
        job = _with_data(services, originals[one.id], one.data)
        if job is not originals[one.id]:
            merged[job.id] = job.id
        # Else it might be cancelled with work of others that has time left.
        jobs.append(evolve(job, expires=expiries[job.id]) if job.id in expiries else job)
    return FlushPlan([one.job.id for one in kept], jobs, merged)


def _data_of(services: Services, job: NewJob) -> object:
    return decode_json(_opened(services, job))


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
