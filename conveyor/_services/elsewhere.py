"""Elsewhere: what stands in the store's place where a job queue strategy keeps its jobs in no store.

What the strategy can answer, it is asked; everything else is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, cast

from conveyor.contracts.capabilities import Capabilities, Durability, Guarantees
from conveyor.contracts.job_queue import InspectableJobQueueStrategy
from conveyor.errors import CapabilityError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.contracts.job_queue import JobQueueCapabilities, JobQueueStrategy
    from conveyor.contracts.store import (
        BatchPartStore,
        BatchStore,
        BufferStore,
        EventStore,
        FlowStore,
        InspectionStore,
        JobStore,
        LimitStore,
        MetricsStore,
        Notifier,
        QueueStore,
        ScheduleStore,
        SchemaStore,
        SessionStore,
        Store,
        TransactionStore,
    )
    from conveyor.model.job import Ending, JobData
    from conveyor.model.queries import JobFilter, Page

__all__ = ["ELSEWHERE_ADVICE", "ElsewhereJobs", "ElsewhereStore", "RefusingFacet"]


ELSEWHERE_ADVICE: Final = "its jobs are kept elsewhere: use the tools of what keeps them, or a job queue over a store"

# What verbs are about that an operator asks for, where their names do not say it.
_WORDS: Final = {
    "count_jobs": "counting jobs",
    "count_matching": "counting jobs",
    "get_job_counts": "counting jobs",
    "get_stats": "counting what there is",
    "list_jobs": "listing the jobs of a queue",
    "list_queues": "listing queues",
    "list_sessions": "listing workers",
    "get_attempts": "looking at the runs of a job",
    "get_logs": "reading the log of a job",
    "append_logs": "writing to the log of a job",
    "pause_job_name": "pausing",
    "resume_job_name": "resuming",
    "drain": "draining a queue",
    "obliterate": "removing a queue",
    "rerun_job": "running a job again",
    "retry_jobs": "running jobs again",
    "remove_job": "removing a job",
}


class RefusingFacet:
    """A facet that refuses what a strategy does not offer; those that offer something derive from it."""

    def __init__(self, strategy: JobQueueStrategy) -> None:
        """Refuse on behalf of the strategy."""
        self._strategy = strategy

    def __getattr__(self, verb: str) -> NoReturn:
        """Refuse a verb that is not there.

        Raises:
            CapabilityError: always.
        """
        raise CapabilityError(
            type(self._strategy).__name__,
            "jobs in a store",
            _WORDS.get(verb, verb.replace("_", " ")),
            kind="job queue",
            advice=ELSEWHERE_ADVICE,
        )


class ElsewhereJobs(RefusingFacet):
    """What can be asked of jobs that an inspectable strategy keeps.

    `set_aside` has those that a buffer was to add, and the strategy refused; None: nobody looks for them here.
    """

    def __init__(self, strategy: JobQueueStrategy, set_aside: JobStore | None = None) -> None:
        """Ask the strategy, then those set aside."""
        super().__init__(strategy)
        self._set_aside = set_aside

    async def find_job(self, job_id: str, /) -> JobData | None:
        """Ask the strategy."""
        job = await self._inspectable("looking up a job").find_one(job_id)
        if job is None and self._set_aside is not None:
            return await self._set_aside.find_job(job_id)
        return job

    async def get_job(self, queue_name: str, job_id: str, /) -> JobData | None:
        """Ask the strategy."""
        job = await self.find_job(job_id)
        return job if job is not None and job.queue_name == queue_name else None

    async def find_jobs(self, job_ids: Sequence[str], /) -> Mapping[str, JobData]:
        """Ask the strategy."""
        jobs = await self._inspectable("looking up jobs").find_many_by_id(job_ids)
        found = {job.id: job for job in jobs}
        missing = [job_id for job_id in job_ids if job_id not in found]
        return (
            found if self._set_aside is None or not missing else {**await self._set_aside.find_jobs(missing), **found}
        )

    async def find_endings(self, job_ids: Sequence[str], /) -> Mapping[str, Ending]:
        """Ask for those set aside alone: what the strategy keeps, it keeps as jobs."""
        return {} if self._set_aside is None else await self._set_aside.find_endings(job_ids)

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        """Ask the strategy."""
        return await self._inspectable("cancelling a job").cancel_job(job_id, reason)

    def _inspectable(self, needed_by: str) -> InspectableJobQueueStrategy:
        if not isinstance(self._strategy, InspectableJobQueueStrategy):
            raise CapabilityError(type(self._strategy).__name__, "inspection", needed_by, kind="job queue")
        return self._strategy


class ElsewhereInspection(RefusingFacet):
    """What can be searched for among the jobs of an inspectable strategy."""

    _strategy: InspectableJobQueueStrategy

    async def search_jobs(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        """Ask the strategy."""
        return await self._strategy.find_many(wanted, cursor=cursor, limit=limit, oldest_first=oldest_first)


class ElsewhereStore:
    """A `Store` that keeps nothing. Its facets are casts: what they lack they refuse by themselves."""

    def __init__(
        self, strategy: JobQueueStrategy, capabilities: JobQueueCapabilities, own_store: Store | None = None
    ) -> None:
        """Stand in for the store of the strategy's jobs; the app's own has what was set aside of them."""
        durability = Durability.PROCESS_CRASH if capabilities.is_durable else Durability.NOTHING
        self.name: str = type(strategy).__name__
        self.capabilities: Capabilities = Capabilities(
            is_durable=capabilities.is_durable,
            is_shared=capabilities.is_shared,
            has_notifications=False,
            has_inspection=isinstance(strategy, InspectableJobQueueStrategy),
            has_transactions=False,
        )
        self.guarantees: Guarantees = Guarantees(add=durability, settle=durability)
        self.jobs: JobStore = cast("JobStore", ElsewhereJobs(strategy, None if own_store is None else own_store.jobs))
        self.sessions: SessionStore = cast("SessionStore", RefusingFacet(strategy))
        self.queues: QueueStore = cast("QueueStore", RefusingFacet(strategy))
        self.schema: SchemaStore = cast("SchemaStore", RefusingFacet(strategy))
        self.notifier: Notifier | None = None
        self.inspection: InspectionStore | None = None
        if isinstance(strategy, InspectableJobQueueStrategy):
            self.inspection = cast("InspectionStore", ElsewhereInspection(strategy))
        self.schedules: ScheduleStore | None = None
        self.limits: LimitStore | None = None
        self.transactions: TransactionStore | None = None
        self.flows: FlowStore | None = None
        self.metrics: MetricsStore | None = None
        self.events: EventStore | None = None
        self.buffers: BufferStore | None = None
        self.batches: BatchStore | None = None
        self.batch_parts: BatchPartStore | None = None

    def notes(self) -> Sequence[str]:
        """Return where the jobs are."""
        return (f"Jobs are kept by the job queue strategy {self.name}, not in a store.",)
