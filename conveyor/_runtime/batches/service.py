"""The runs of batch jobs that go on in this program, and what strategies may ask: a `BatchJobService`."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from conveyor._runtime.transient import Outage
from conveyor._runtime.wakeup import Wakeup
from conveyor._services.batches import changing
from conveyor.errors import BatchJobError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conveyor._runtime.batches.run import Run
    from conveyor._services.services import Services
    from conveyor.contracts.batch_job import BatchRun
    from conveyor.model.batches.values import BatchJobData, RowError

__all__ = ["BatchRuns"]

# A run that has lost its batch job must not find the one that took it over.
_current: ContextVar[Run | None] = ContextVar("_current", default=None)


class BatchRuns:
    """The batch jobs of one app, as strategies see them."""

    def __init__(self, services: Services) -> None:
        """Bind to an app, which need not be open yet."""
        self.services: Final = services
        self.outage: Outage = Outage()
        self._running: dict[str, list[Run]] = {}
        self._bells: dict[str, Wakeup] = {}

    async def get(self, batch_job_id: str, /) -> BatchJobData:
        """Return a batch job."""
        return await changing.get(self.services, batch_job_id)

    async def get_errors(self, batch_job_id: str, /, *, after: int = 0, limit: int = 1000) -> Sequence[RowError]:
        """Return bad rows of it."""
        await changing.get(self.services, batch_job_id)
        store = self.services.batch_store("the bad rows of a batch job")
        return await store.get_errors(batch_job_id, after=after, limit=limit)

    def run(self, batch_job_id: str, /) -> BatchRun:
        """Return the run that goes on here."""
        run = _current.get()
        if run is None or run.batch_job.id != batch_job_id:
            # That which began last: one that works on a part is within that which leads.
            run = next(reversed(self._running.get(batch_job_id, ())), None)
        if run is None:
            raise BatchJobError(f"batch job {batch_job_id!r} is not run in this program now", batch_id=batch_job_id)
        return run

    @contextmanager
    def entered(self, run: Run) -> Iterator[None]:
        """Let a run be found for as long as the context lasts."""
        batch_id = run.batch_job.id
        self._running.setdefault(batch_id, []).append(run)
        token = _current.set(run)
        try:
            yield
        finally:
            run.tell_end()
            _current.reset(token)
            running = self._running[batch_id]
            running.remove(run)
            if not running:
                del self._running[batch_id]

    @contextmanager
    def listening(self, batch_id: str) -> Iterator[Wakeup]:
        """Hear of parts of a batch job that end in this program; one run of it leads, so one listens."""
        bell = self._bells[batch_id] = Wakeup()
        try:
            yield bell
        finally:
            if self._bells.get(batch_id) is bell:
                del self._bells[batch_id]

    def ring(self, batch_id: str) -> None:
        """Tell the run that leads the parts of a batch job, if it is of this program, that one of them ended."""
        bell = self._bells.get(batch_id)
        if bell is not None:
            bell.set()
