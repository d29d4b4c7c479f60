"""A look at a batch job as people want it: also how far the look at its rows is, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from conveyor._services.batches import changing
from conveyor.model.batches.status import BatchStatus

if TYPE_CHECKING:
    from conveyor._services.services import Services
    from conveyor.model.batches.values import BatchJobData

__all__ = ["look"]


async def look(services: Services, batch_id: str) -> BatchJobData:
    """Return a batch job; while it is pre-processed, with the progress of the job that does it.

    Steps are saved only by what processes it, so until then its own record has none.

    Raises:
        BatchJobNotFoundError: there is none.
    """
    batch = await changing.get(services, batch_id)
    if batch.status is not BatchStatus.CREATED or batch.job_id is None:
        return batch
    job = await services.store.jobs.find_job(batch.job_id)
    if job is None or job.progress is None:
        return batch
    done, total = job.progress.done, job.progress.total
    return evolve(batch, done=int(done), total=None if total is None else int(total), message=job.progress.message)
