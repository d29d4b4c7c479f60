"""Jobs that may be in a buffer still, or merged: found, read, cancelled, removed; all else is refused by name."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import frozen

from conveyor._services.buffers import find_places, is_in_store
from conveyor.contracts.buffer_storage import EditableBufferStorage
from conveyor.errors import CapabilityError, JobInBufferError, JobNotFoundError
from conveyor.model.job import as_added

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor._services.services import Services
    from conveyor.model.job import JobData

__all__ = ["FoundJob", "cancel", "find_elsewhere", "read_following", "refuse_buffered", "remove", "unbuffered"]

T = TypeVar("T")

# A job may be flushed between two looks, and no job comes back from where it went.
_LOOKS: Final = 2


@frozen
class FoundJob:
    """A job that was looked for.

    Attributes:
        data: how it stands; of one that was merged, the job that does its work.
        buffer_id: the buffer in which it waits; None: it is a job of its queue.
    """

    data: JobData
    buffer_id: str | None = None


async def find_elsewhere(services: Services, job_id: str) -> FoundJob | None:
    """Return a job that the queues do not have under its id: as it will be added, or the one that does its work."""
    place = (await find_places(services, [job_id])).get(job_id)
    if place is not None and place.kept is not None:
        return FoundJob(as_added(place.kept.job, place.kept.added_at), place.buffer_id)
    # Where it was flushed since it was looked for, it is a job of its queue by now.
    work_id = job_id if place is None else place.merged_into or job_id
    job = await services.store.jobs.find_job(work_id)
    return None if job is None else FoundJob(job)


async def read_following(services: Services, job_id: str, read: Callable[[str], Awaitable[Sequence[T]]]) -> Sequence[T]:
    """Return what is read of a job; of one that was merged, and so has nothing, of the job that does its work."""
    found = await read(job_id)
    if found:
        return found
    place = (await find_places(services, [job_id])).get(job_id)
    return found if place is None or place.merged_into is None else await read(place.merged_into)


async def unbuffered(services: Services, job_id: str, asked: Awaitable[T]) -> T:
    """Return the answer of something that is asked of a job in a queue.

    Raises:
        JobInBufferError: it is in a buffer, or was merged.
    """
    try:
        return await asked
    except JobNotFoundError:
        await refuse_buffered(services, job_id)
        raise


async def refuse_buffered(services: Services, job_id: str) -> None:
    """Raise JobInBufferError where a job is in a buffer, or was merged."""
    buffer_id = await _buffer_of(services, job_id)
    if buffer_id is not None:
        raise JobInBufferError(job_id, buffer_id)


async def cancel(services: Services, job_id: str, reason: str) -> JobData:
    """End a job as cancelled, wherever it is.

    Raises:
        JobInBufferError: it was merged into another.
        CapabilityError: it is in a buffer, and the storage cannot do that, or its queue is not in the app's store.
        DuplicateJobError: it is in a buffer, and another job has its id.
    """

    async def cancel_buffered() -> JobData | None:
        storage = _editable(services, "cancelling a job in a buffer")
        if not is_in_store(services):
            # There are no cancelled jobs for it to be one of.
            raise CapabilityError(
                type(services.job_queue).__name__,
                "jobs in the app's store",
                "cancelling a job in a buffer",
                kind="job queue",
                advice="take it out of its buffer, and leave no record of it: job.remove()",
            )
        return await storage.cancel_job(job_id, reason)

    return await _either(services, job_id, lambda: services.store.jobs.cancel_job(job_id, reason), cancel_buffered)


async def remove(services: Services, job_id: str) -> None:
    """Delete a job that is not running, wherever it is.

    Raises:
        JobInBufferError, CapabilityError: as for `cancel`, though the queue may be anywhere.
    """

    async def remove_stored() -> bool:
        await services.store.jobs.remove_job(job_id)
        return True

    async def remove_buffered() -> bool | None:
        storage = _editable(services, "removing a job from a buffer")
        return await storage.remove_job(job_id) or None

    await _either(services, job_id, remove_stored, remove_buffered)


async def _either(
    services: Services,
    job_id: str,
    in_store: Callable[[], Awaitable[T]],
    in_buffer: Callable[[], Awaitable[T | None]],
) -> T:
    if is_in_store(services):
        with suppress(JobNotFoundError):
            return await in_store()
    # What keeps jobs elsewhere may know none by its id, so the buffers are asked before it is.
    for _ in range(_LOOKS):
        if await _buffer_of(services, job_id) is not None and (done := await in_buffer()) is not None:
            return done
        with suppress(JobNotFoundError):
            return await in_store()
    return await in_store()


async def _buffer_of(services: Services, job_id: str) -> str | None:
    place = (await find_places(services, [job_id])).get(job_id)
    if place is not None and place.merged_into is not None:
        raise JobInBufferError(job_id, merged_into=place.merged_into)
    return None if place is None else place.buffer_id


def _editable(services: Services, needed_by: str) -> EditableBufferStorage:
    storage = services.buffers.storage
    if not isinstance(storage, EditableBufferStorage):
        raise CapabilityError(type(storage).__name__, "single jobs", needed_by, kind="buffer storage")
    return storage
