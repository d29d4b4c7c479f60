"""The delivery store: a delivering strategy as that part of a store that a worker works with.

So slots, timeouts, batches, middleware and shutdown are the same for jobs that come from a broker.
Arguments that nothing here uses (noqa: ARG002) are those of the contract.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, cast

from conveyor._builtin.memory.notifier import MemoryNotifier
from conveyor._runtime.deliveries.held import Deliveries
from conveyor._runtime.runs import log_reports
from conveyor._services.elsewhere import ElsewhereJobs, ElsewhereStore, RefusingFacet
from conveyor.model.locks import LockToken
from conveyor.model.sessions import ReconcileReport
from conveyor.model.settlement import SettleReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from conveyor._runtime.transient import Outage
    from conveyor.contracts.job_queue import DeliveringJobQueueStrategy, JobQueueCapabilities
    from conveyor.contracts.store import JobStore, SessionStore
    from conveyor.model.job import JobData, LogEntry, ProgressReport
    from conveyor.model.locks import Lock
    from conveyor.model.queries import Want
    from conveyor.model.sessions import SessionInfo
    from conveyor.model.settlement import Refusal, Settlement

__all__ = ["DeliveryStore"]

logger: Final = logging.getLogger("conveyor.worker")


class DeliveryJobs(ElsewhereJobs):
    """The verbs of `JobStore` that a worker needs. A broker has no place for logs and progress: they are logged."""

    def __init__(self, strategy: DeliveringJobQueueStrategy, deliveries: Deliveries) -> None:
        super().__init__(strategy)
        self._lock_seconds = strategy.lock_duration.total_seconds()
        self._deliveries = deliveries

    async def fetch_jobs(
        self,
        wants: Sequence[Want],
        worker_id: str,
        lock_duration: timedelta,  # noqa: ARG002 - it is the strategy's own
        /,
        *,
        fetch_number: int,
    ) -> Sequence[JobData]:
        """Take what is ready; what is wanted beyond it comes with a hint."""
        await self._deliveries.extend_all(self._lock_seconds)
        if any(want.is_suspect for want in wants):
            await self._deliveries.make_room()
        return self._deliveries.take(wants, LockToken(worker_id, fetch_number))

    async def extend_locks(self, locks: Sequence[Lock], lock_duration: timedelta, /) -> Sequence[Lock]:  # noqa: ARG002
        """Extend all that is held."""
        await self._deliveries.extend_all()
        return self._deliveries.lost(locks)

    async def release_locks(self, locks: Sequence[Lock], /) -> Sequence[Lock]:
        """Hand deliveries back."""
        return await self._deliveries.hand_back(locks)

    async def settle_jobs(
        self,
        settlements: Sequence[Settlement],
        wants: Sequence[Want] = (),
        worker_id: str = "",
        lock_duration: timedelta | None = None,  # noqa: ARG002 - it is the strategy's own
        /,
        *,
        fetch_number: int = 0,
    ) -> SettleReport:
        """Settle or hand back deliveries, and take what is ready."""
        refused = await self._deliveries.settle(settlements)
        if not wants:
            return SettleReport(refused)
        await self._deliveries.extend_all(self._lock_seconds)
        return SettleReport(refused, self._deliveries.take(wants, LockToken(worker_id, fetch_number)))

    async def set_progress(self, reports: Sequence[ProgressReport], /) -> Sequence[Refusal]:
        """Log it."""
        log_reports((), reports)
        return ()

    async def append_logs(self, entries: Sequence[LogEntry], /) -> Sequence[Refusal]:
        """Log them."""
        log_reports(entries, ())
        return ()

    async def get_suspect_queues(self, queue_names: Sequence[str], /) -> Sequence[str]:
        """Return the queue of a delivery that stalled before and waits until the worker is empty."""
        return self._deliveries.suspect_queues(queue_names)

    async def get_next_delayed_timestamp(self, queue_names: Sequence[str], /) -> datetime | None:  # noqa: ARG002
        """Return None: whoever delays a delivery knows when it is due."""
        return None

    async def promote_delayed_jobs(self, queue_names: Sequence[str], /, *, limit: int = 1000) -> int:  # noqa: ARG002
        """Return 0, as above."""
        return 0

    async def expire_jobs(self, *, limit: int = 1000) -> int:  # noqa: ARG002 - nothing expires here
        """Return 0: what expires is the strategy's affair."""
        return 0

    async def remove_outdated_jobs(self, *_: object, **__: object) -> int:
        """Return 0: what is kept is the strategy's affair."""
        return 0

    async def reclaim_stalled_jobs(self, max_stalled: int, /, *, limit: int = 1000) -> Sequence[JobData]:  # noqa: ARG002
        """Return none: a delivery whose worker died is delivered again."""
        return ()


class NoThreadRenewal:
    """A `ThreadRenewal` that renews nothing: deliveries are extended on the event loop alone."""

    def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:  # noqa: ARG002 - of the contract
        """Return False."""
        return False

    def close(self) -> None:
        """Close nothing."""


class DeliverySessions(RefusingFacet):
    """A session is what one worker holds."""

    def __init__(self, strategy: DeliveringJobQueueStrategy, deliveries: Deliveries) -> None:
        super().__init__(strategy)
        self._deliveries = deliveries

    async def open(self, session: SessionInfo, lock_duration: timedelta, /) -> None:
        """Open nothing."""

    async def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:  # noqa: ARG002 - of the contract
        """Extend what is held."""
        await self._deliveries.extend_all()
        return True

    async def reconcile(self, session_id: str, held: Sequence[Lock], last_fetch_number: int, /) -> ReconcileReport:
        """Hand back what the worker does not know of."""
        released = await self._deliveries.hand_back_forgotten(held, session_id, last_fetch_number)
        return ReconcileReport(self._deliveries.lost(held), released)

    async def close(self, session_id: str, /) -> int:  # noqa: ARG002 - there is but one
        """Hand back all that is left."""
        count = await self._deliveries.close()
        if count:
            logger.info("%d deliveries were handed back that had not ended", count)
        return count

    def thread_renewal(self) -> NoThreadRenewal:
        """Return one that renews nothing."""
        return NoThreadRenewal()


class DeliveryStore(ElsewhereStore):
    """What one worker works with."""

    def __init__(
        self, strategy: DeliveringJobQueueStrategy, capabilities: JobQueueCapabilities, outage: Outage
    ) -> None:
        """Hold nothing yet."""
        super().__init__(strategy, capabilities)
        self.notifier = notifier = MemoryNotifier()
        self.deliveries: Deliveries = Deliveries(strategy, capabilities, notifier, outage)
        self.jobs = cast("JobStore", DeliveryJobs(strategy, self.deliveries))
        self.sessions = cast("SessionStore", DeliverySessions(strategy, self.deliveries))
