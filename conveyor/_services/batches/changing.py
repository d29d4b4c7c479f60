"""What can be done with a batch job once it was created: look, confirm, pause, resume, cancel, retry, remove."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import uuid_utils

from conveyor._services.batches.creating import create_of_bad_rows
from conveyor._services.batches.files import remove_files
from conveyor._services.batches.jobs import is_job_of, new_work, pre_process_name
from conveyor.errors import BatchJobError, BatchJobNotFoundError, ConfigurationError
from conveyor.model.batches.status import ENDED_STATUSES, BatchCommand, BatchStatus
from conveyor.model.batches.values import BatchChange, BatchFilter
from conveyor.model.checks import could_be_id
from conveyor.model.text import clean_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor._services.event_buffer import EventBuffer
    from conveyor._services.services import Services
    from conveyor.model.batches.parts import BatchPart
    from conveyor.model.batches.values import BatchJobData, BatchPage, RowError

__all__ = [
    "cancel",
    "confirm",
    "errors",
    "find",
    "get",
    "parts",
    "pause",
    "remove",
    "resume",
    "retry",
    "template",
    "told",
    "watch",
]

logger: Final = logging.getLogger("conveyor.batches")

CHUNK: Final = 1000
MOST_LISTED: Final = 1000


async def get(services: Services, batch_id: str) -> BatchJobData:
    """Return a batch job.

    Raises:
        BatchJobNotFoundError: there is none.
    """
    batches = services.batch_store("app.batches")
    batch = await batches.get_batch(batch_id) if could_be_id(batch_id, "id of a batch job") else None
    if batch is None:
        raise BatchJobNotFoundError(batch_id)
    return batch


async def parts(services: Services, batch_id: str) -> Sequence[BatchPart]:
    """Return the parts of a batch job, by number; where the store keeps none, it has none."""
    await get(services, batch_id)
    store = services.store.batch_parts
    return () if store is None else await store.get_parts(batch_id)


async def find(services: Services, wanted: BatchFilter, cursor: str | None, limit: int) -> BatchPage:
    """Return batch jobs that match, the newest first, a page at a time.

    Raises:
        ConfigurationError: the limit is not from 1 to 1000.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_LISTED:
        raise ConfigurationError(f"limit must be a whole number from 1 to {MOST_LISTED}, got {limit!r}")
    return await services.batch_store("app.batches.list()").find_batches(wanted, cursor=cursor, limit=limit)


async def confirm(services: Services, batch_id: str, by: str | None, reason: str | None) -> BatchJobData:
    """Let it be processed."""
    return await _change(services, await get(services, batch_id), BatchCommand.CONFIRM, by, reason)


async def pause(services: Services, batch_id: str, by: str | None, reason: str | None) -> BatchJobData:
    """Let it stop where it is, within a chunk of rows."""
    return await _change(services, await get(services, batch_id), BatchCommand.PAUSE, by, reason)


async def resume(services: Services, batch_id: str, by: str | None, reason: str | None) -> BatchJobData:
    """Let it go on where it was."""
    return await _change(services, await get(services, batch_id), BatchCommand.RESUME, by, reason)


async def cancel(services: Services, batch_id: str, by: str | None, reason: str | None) -> BatchJobData:
    """End it as cancelled: at once, where no run goes on, else within a chunk of rows. Again, it changes nothing."""
    batch = await get(services, batch_id)
    if batch.status in (BatchStatus.CANCELLING, BatchStatus.CANCELLED):
        return batch
    batch = await _change(services, batch, BatchCommand.CANCEL, by, reason)
    if batch.status is BatchStatus.CANCELLED:
        await told(services, batch, None)
    return batch


async def retry(
    services: Services, batch_id: str, by: str | None, reason: str | None, *, failed_rows: bool, force: bool = False
) -> BatchJobData:
    """Let one that failed go on where it was; or create another of its rows that failed, and return that."""
    batch = await get(services, batch_id)
    if failed_rows:
        return await create_of_bad_rows(services, batch, by=by, force=force)
    if force:
        raise ConfigurationError("force is for failed_rows: one that failed goes on as itself, or not at all")
    was_confirmed = batch.entered_at(BatchStatus.CONFIRMED) is not None
    command = BatchCommand.RETRY if was_confirmed else BatchCommand.RESTART
    return await _change(services, batch, command, by, reason)


async def remove(services: Services, batch_id: str) -> None:
    """Delete one that has ended, with its history, its bad rows, and its files that would expire.

    Raises:
        BatchJobError: another takes its bad rows up, and has not ended.
    """
    batch = await get(services, batch_id)
    unended = BatchFilter(statuses=tuple(set(BatchStatus) - ENDED_STATUSES), parent_id=batch_id)
    store = services.batch_store("app.batches.remove()")
    if taking := (await store.find_batches(unended, cursor=None, limit=1)).batches:
        raise BatchJobError(
            f"batch job {taking[0].id!r} takes up the bad rows of {batch_id!r}, and has not ended",
            batch_id=batch_id,
            batch_type=batch.batch_type,
        )
    await store.remove_batch(batch_id)
    await remove_files(services, [batch])


async def template(services: Services, batch_type: str) -> str:
    """Return a file that shows what may be uploaded; an empty string: there is none."""
    return await services.batches.get(batch_type).hooks.build_template()


async def errors(services: Services, batch_id: str) -> AsyncIterator[RowError]:
    """Go through its bad rows, by number."""
    await get(services, batch_id)
    store = services.batch_store("app.batches.errors()")
    after = 0
    while page := await store.get_errors(batch_id, after=after, limit=CHUNK):
        for error in page:
            yield error
        after = page[-1].row_number


@asynccontextmanager
async def watch(services: Services, batch_id: str) -> AsyncIterator[EventBuffer | None]:
    """Gather that something happened to a job that works for a batch job; None: the store records no events."""
    if services.store.events is None:
        yield None
        return
    queue_name = services.batches.queue_name
    async with services.feeds.watch(queue_name, lambda event: is_job_of(batch_id, event.job_id), 1) as buffer:
        yield buffer


async def told(services: Services, batch: BatchJobData, error: Exception | None) -> None:
    """Tell its strategy that a batch job was cancelled, or that it failed; what that raises is logged."""
    strategy = services.batches.find(batch.batch_type)
    if strategy is None:
        return
    try:
        if batch.status is BatchStatus.CANCELLED:
            await strategy.hooks.on_cancel(batch.id)
        elif batch.status is BatchStatus.FAILED and error is not None:
            await strategy.hooks.on_failure(batch.id, error)
    except Exception:
        logger.exception("batch job %s is %s, but its strategy could not act on that", batch.id, batch.status)


# What adds a job that works on, and which.
_ADDING: Final = frozenset({BatchCommand.CONFIRM, BatchCommand.RESUME, BatchCommand.RETRY, BatchCommand.RESTART})


async def _change(
    services: Services, batch: BatchJobData, command: BatchCommand, by: str | None, reason: str | None
) -> BatchJobData:
    job = None
    if command in _ADDING:
        is_first = command is BatchCommand.RESTART
        job = new_work(services, batch.id, pre_process_name(batch.batch_type) if is_first else batch.batch_type)
    change = BatchChange(
        str(uuid_utils.uuid7()),
        command,
        by=None if by is None else clean_text(by),
        reason=None if reason is None else clean_text(reason),
        job=job,
    )
    return await services.batch_store(f"app.batches.{command}()").change_batch(batch.id, change)
