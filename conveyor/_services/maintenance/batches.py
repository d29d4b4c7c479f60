"""The passes of batch jobs: those that nothing works for any more are ended; those that are old are removed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from anyio.lowlevel import checkpoint

from conveyor._services.batches import changing
from conveyor._services.batches.files import remove_files
from conveyor.errors import BatchJobError, BatchRunLostError, InvalidBatchStatusError
from conveyor.model.batches.status import STOPPING_STATUSES, BatchCommand, BatchStatus
from conveyor.model.batches.values import BatchChange
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from conveyor._services.services import Services
    from conveyor.contracts.store import BatchStore, Store
    from conveyor.model.batches.values import BatchJobData, StrandedBatch
    from conveyor.model.retention import Retention

__all__ = ["end_stranded", "remove_old"]

logger: Final = logging.getLogger("conveyor.maintenance")

CHUNK: Final = 100


async def end_stranded(services: Services, store: Store) -> int:
    """End every batch job whose job is gone or settled though it was to work on; return how many there were.

    Its job stalled too often, was cancelled or removed. A batch job that was to stop has stopped by that; the others
    fail, or are cancelled where the job was.
    """
    if store.batches is None:
        return 0
    total = 0
    while found := await store.batches.find_stranded(limit=CHUNK):
        ended = [await _end(services, store.batches, stranded) for stranded in found]
        total += sum(ended)
        if not any(ended):
            # Others were there first.
            break
    return total


async def _end(services: Services, batches: BatchStore, stranded: StrandedBatch) -> bool:
    batch, job = stranded.batch, stranded.job
    reason = "the job that worked for it was removed"
    if job is not None:
        told = "" if job.error is None else f": {job.error}"
        reason = f"the job that worked for it is {job.state}{told}"
    command = BatchCommand.FAIL
    if batch.status in STOPPING_STATUSES:
        command = BatchCommand.STOP
    elif job is not None and job.state is JobState.CANCELLED:
        command = BatchCommand.CANCEL
    try:
        batch = await _ask(batches, batch, command, reason)
        if batch.status is BatchStatus.CANCELLING:
            batch = await _ask(batches, batch, BatchCommand.STOP, reason)
    except (InvalidBatchStatusError, BatchRunLostError):
        return False
    logger.warning("batch job %s is %s: %s", batch.id, batch.status, reason)
    await changing.told(services, batch, BatchJobError(reason, batch_id=batch.id, batch_type=batch.batch_type))
    return True


async def _ask(batches: BatchStore, batch: BatchJobData, command: BatchCommand, reason: str) -> BatchJobData:
    # Two workers that look at once ask for one change.
    change = BatchChange(
        f"stranded:{batch.job_id}:{batch.revision}:{command}",
        command,
        reason=reason,
        if_job_id=batch.job_id,
        error=reason if command is BatchCommand.FAIL else None,
    )
    return await batches.change_batch(batch.id, change)


async def remove_old(services: Services, store: Store, retention: Retention) -> int:
    """Remove every batch job that ended longer ago than settled jobs are kept, or is one of its type too many.

    Their files that would expire go, too. Return how many batch jobs there were.
    """
    if store.batches is None or (retention.max_age is None and retention.max_count is None):
        return 0
    total = 0
    while removed := await store.batches.remove_ended(retention.max_age, most=retention.max_count, limit=CHUNK):
        total += len(removed)
        await remove_files(services, removed)
        await checkpoint()
    if total:
        logger.info("removed %d batch jobs that were to be kept no longer", total)
    return total
