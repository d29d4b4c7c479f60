"""The inspection facet of the memory store: it looks at everything, so it may take a while."""

from __future__ import annotations

from heapq import nlargest
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

from conveyor.model.queries import Page, QueueInfo, matches
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conveyor._builtin.memory.tables import QueueTable, Tables
    from conveyor.model.job import JobData
    from conveyor.model.queries import JobFilter

__all__ = ["MemoryInspection"]


class MemoryInspection:
    """Looking around, over all queues. See `conveyor.contracts.store.inspection`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def list_queues(self) -> Sequence[QueueInfo]:
        """Return every queue, by name."""
        return tuple(_info(queue) for _, queue in sorted(self._tables.queues.items()))

    async def search_jobs(self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100) -> Page:
        """Return jobs that match, by id from the highest down."""
        matching = self._matching(wanted, cursor)
        # One more than asked for tells whether there is another page.
        jobs = nlargest(limit + 1, matching, key=attrgetter("id"))
        page = tuple(jobs[: max(limit, 0)])
        return Page(page, page[-1].id if page and len(jobs) > limit else None)

    async def count_matching(self, wanted: JobFilter, /, *, cap: int = 100_000) -> int:
        """Return how many jobs match, at most `cap`."""
        return sum(1 for _ in islice(self._matching(wanted, None), max(cap, 0)))

    def _matching(self, wanted: JobFilter, cursor: str | None) -> Iterator[JobData]:
        for record in self._tables.jobs.values():
            if cursor is not None and record.id >= cursor:
                continue
            job = record.snapshot()
            if matches(job, wanted):
                yield job


def _info(queue: QueueTable) -> QueueInfo:
    waiting = queue.by_state[JobState.WAITING].values()
    return QueueInfo(
        queue.name,
        {state: len(records) for state, records in queue.by_state.items()},
        frozenset(queue.paused),
        min((record.run_at for record in waiting), default=None),
    )
