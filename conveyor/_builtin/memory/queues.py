"""The queues facet of the memory store."""

from __future__ import annotations

from itertools import islice, takewhile
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from conveyor._builtin.memory.changes import promote_first, rerun
from conveyor._builtin.memory.limiting import guard_queue
from conveyor._builtin.memory.telling import remove_jobs
from conveyor.errors import ConfigurationError
from conveyor.model.events import EventKind, NotificationKind
from conveyor.model.limits import NO_LIMITS
from conveyor.model.queries import ALL_NAMES
from conveyor.model.states import SETTLED_STATES, Command, JobState, transition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import QueueTable, Tables
    from conveyor.model.job import JobData

__all__ = ["MemoryQueues"]

_DRAINED: Final = (JobState.WAITING, JobState.DELAYED, JobState.WAITING_CHILDREN)


class MemoryQueues:
    """Whole queues. See `conveyor.contracts.store.queues`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def pause_job_name(self, queue_name: str, job_name: str, /) -> None:
        """Fetch no more jobs of this name."""
        queue = self._tables.queue(queue_name)
        if job_name not in queue.paused:
            _note_pause(queue, EventKind.PAUSED, job_name)
        queue.paused.add(job_name)
        self._tell_changed(queue_name)

    async def resume_job_name(self, queue_name: str, job_name: str, /) -> None:
        """Undo `pause_job_name` for exactly this name."""
        for queue in self._tables.existing([queue_name]):
            if job_name in queue.paused:
                _note_pause(queue, EventKind.RESUMED, job_name)
            queue.paused.discard(job_name)
        self._tell_changed(queue_name)

    async def get_paused_job_names(self, queue_name: str, /) -> frozenset[str]:
        """Return what is paused."""
        queue = self._tables.queues.get(queue_name)
        return frozenset() if queue is None else frozenset(queue.paused)

    async def get_active_count(self, queue_name: str, /) -> int:
        """Return how many jobs run."""
        return len(self._records(queue_name, JobState.ACTIVE))

    async def count_jobs(self, queue_name: str, state: JobState, /) -> int:
        """Return how many jobs are in this state."""
        return len(self._records(queue_name, state))

    async def get_job_counts(self, queue_name: str, /) -> Mapping[JobState, int]:
        """Return the counts of all states."""
        return {state: len(self._records(queue_name, state)) for state in JobState}

    async def list_jobs(
        self, queue_name: str, state: JobState, /, *, start: int = 0, end: int = 100
    ) -> Sequence[JobData]:
        """Return jobs start to end of this state: settled ones newest first, others as they were added."""
        records = self._records(queue_name, state)
        ordered: Iterable[JobRecord]
        if state in SETTLED_STATES:
            ordered = reversed(records.values())
        else:
            ordered = sorted(records.values(), key=attrgetter("sequence"))
        return tuple(record.snapshot() for record in islice(ordered, max(start, 0), max(end, 0)))

    async def drain(self, queue_name: str, /) -> int:
        """Remove all jobs that wait or are delayed; return how many."""
        records = [record for state in _DRAINED for record in self._records(queue_name, state).values()]
        remove_jobs(self._tables, records)
        for queue in self._tables.existing([queue_name]):
            if queue.log is not None:
                queue.log.told(EventKind.DRAINED, queue_name, count=len(records))
        self._tell_changed(queue_name)
        return len(records)

    async def clean(self, queue_name: str, state: JobState, grace: timedelta, /, *, limit: int = 1000) -> int:
        """Remove settled jobs that ended longer ago than `grace`; return how many."""
        _check_settled(state)
        now = self._tables.now()
        old = takewhile(
            lambda record: record.finished_at is not None and now - record.finished_at > grace,
            self._records(queue_name, state).values(),
        )
        records = list(islice(old, max(limit, 0)))
        remove_jobs(self._tables, records)
        return len(records)

    async def obliterate(self, queue_name: str, /, *, force: bool = False) -> int:
        """Remove the queue with its jobs and pauses; its limits stay. Return how many jobs."""
        queue = self._tables.queues.get(queue_name)
        if queue is None:
            return 0
        active = list(queue.by_state[JobState.ACTIVE].values())
        if active and not force:
            transition(active[0].id, JobState.ACTIVE, Command.REMOVE)
        records = [record for by_id in queue.by_state.values() for record in by_id.values()]
        remove_jobs(self._tables, records)
        del self._tables.queues[queue_name]
        if queue.guard is not None and queue.guard.limits != NO_LIMITS:
            kept = guard_queue(self._tables, queue_name)
            kept.limits, kept.rates = queue.guard.limits, queue.guard.rates
        self._tables.run_counts.forget_queue(queue_name)
        for record in active:
            self._tables.notifier.tell(NotificationKind.REVOKED, (queue_name,), record.id)
        self._tell_changed(queue_name)
        return len(records)

    async def retry_jobs(self, queue_name: str, state: JobState, /, *, limit: int = 1000) -> int:
        """Rerun settled jobs, oldest first; return how many."""
        _check_settled(state)
        records = list(islice(self._records(queue_name, state).values(), max(limit, 0)))
        rerun(self._tables, records)
        return len(records)

    async def promote_jobs(self, queue_name: str, /, *, limit: int = 1000) -> int:
        """Promote delayed jobs by hand, soonest first; return how many."""
        return sum(promote_first(self._tables, queue, limit) for queue in self._tables.existing([queue_name]))

    def _records(self, queue_name: str, state: JobState) -> dict[str, JobRecord]:
        queue = self._tables.queues.get(queue_name)
        return {} if queue is None else queue.by_state[state]

    def _tell_changed(self, queue_name: str) -> None:
        self._tables.notifier.tell(NotificationKind.CHANGED, (queue_name,))


def _note_pause(queue: QueueTable, kind: EventKind, job_name: str) -> None:
    if queue.log is not None:
        queue.log.told(kind, queue.name, job_name="" if job_name == ALL_NAMES else job_name)


def _check_settled(state: JobState) -> None:
    if state not in SETTLED_STATES:
        settled = ", ".join(sorted(SETTLED_STATES))
        raise ConfigurationError(f"state must be a settled one ({settled}), got {state!s}")
