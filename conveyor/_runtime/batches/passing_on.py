"""Jobs of batch jobs whose type this program does not know: another worker does, so they are left to it."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from conveyor._services.batches.jobs import batch_of
from conveyor._services.context import JobContext
from conveyor.errors import UnknownHandlerError
from conveyor.model.outcomes import Snooze

if TYPE_CHECKING:
    from conveyor._services.services import Services
    from conveyor.model.job import JobData

__all__ = ["PassingOn"]

logger: Final = logging.getLogger("conveyor.batches")

# A worker that knows the type may have room at once, and may be deployed in minutes.
WAIT: Final = Snooze(timedelta(seconds=5))


class PassingOn:
    """Stands in for the handlers of other programs, such as a newer one that is being deployed."""

    def __init__(self, services: Services) -> None:
        """Bind to an app."""
        self._services = services
        self._warned_of: set[str] = set()

    async def process(self, context: JobContext, _data: Any) -> Snooze | None:
        """Put a job off that works for a batch job; no attempt is counted, and whoever cancels that ends it.

        Raises:
            UnknownHandlerError: it works for none.
        """
        job = context.job
        batch = await self._services.batch_store("batch jobs").get_batch(batch_of(job.id))
        if batch is None:
            known = self._services.handlers.names(job.queue_name)
            raise UnknownHandlerError(job.name, known, job_id=job.id, queue_name=job.queue_name)
        if batch.status.is_ended:
            # Nothing is left to do for it.
            return None
        self._warn(job, batch.batch_type)
        return WAIT

    def _warn(self, job: JobData, batch_type: str) -> None:
        if batch_type not in self._warned_of:
            self._warned_of.add(batch_type)
            logger.warning(
                "job %s waits for a worker that knows batch jobs of type %r: this one has no handler called %r",
                job.id,
                batch_type,
                job.name,
            )
