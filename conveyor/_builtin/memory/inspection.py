"""The inspection facet of the memory store: it looks at everything, so it may take a while."""

from __future__ import annotations

from heapq import nlargest, nsmallest
from itertools import islice
from operator import attrgetter, gt, lt
from typing import TYPE_CHECKING

from conveyor._builtin.memory.changes import change
from conveyor._builtin.memory.error_groups import list_error_groups
from conveyor.errors import InvalidJobStateError
from conveyor.model.bulk import ChangeOutcome, ChangeReceipt
from conveyor.model.queries import Page, QueueInfo, StoreStats, matches
from conveyor.model.states import JobState, check_operated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from conveyor._builtin.memory.tables import QueueTable, Tables
    from conveyor.model.error_groups import ErrorGroupFilter, ErrorGroupPage
    from conveyor.model.job import JobData
    from conveyor.model.queries import JobFilter
    from conveyor.model.states import Command

__all__ = ["MemoryInspection"]


class MemoryInspection:
    """Looking around, over all queues. See `conveyor.contracts.store.inspection`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def list_queues(self) -> Sequence[QueueInfo]:
        """Return every queue, by name."""
        return tuple(_info(queue) for _, queue in sorted(self._tables.queues.items()))

    async def get_stats(self, window: timedelta, /) -> StoreStats:
        """Return what settled lately; nothing is on any disk."""
        since = self._tables.now() - window
        return StoreStats(None, {state: self._count_settled(state, since) for state in JobState if state.is_settled})

    def _count_settled(self, state: JobState, since: datetime) -> int:
        records = (record for queue in self._tables.queues.values() for record in queue.by_state[state].values())
        return sum(1 for record in records if record.finished_at is not None and record.finished_at >= since)

    async def search_jobs(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        """Return jobs that match, by id from the highest down, or from the lowest up."""
        matching = self._matching(wanted, cursor, oldest_first=oldest_first)
        pick = nsmallest if oldest_first else nlargest
        # One more than asked for tells whether there is another page.
        jobs = pick(limit + 1, matching, key=attrgetter("id"))
        page = tuple(jobs[: max(limit, 0)])
        return Page(page, page[-1].id if page and len(jobs) > limit else None, self._tables.now())

    async def count_matching(self, wanted: JobFilter, /, *, cap: int = 100_000) -> int:
        """Return how many jobs match, at most `cap`."""
        return sum(1 for _ in islice(self._matching(wanted), max(cap, 0)))

    async def list_error_groups(
        self, wanted: ErrorGroupFilter, /, *, cursor: str | None = None, limit: int = 100
    ) -> ErrorGroupPage:
        """Return the groups of the jobs that are failed now."""
        return list_error_groups(self._tables, wanted, cursor, limit)

    async def change_jobs(
        self, command: Command, job_ids: Sequence[str], wanted: JobFilter, /, *, reason: str = ""
    ) -> Sequence[ChangeReceipt]:
        """Cancel, promote, rerun or remove those of the jobs that match."""
        check_operated(command)
        return [self._change(command, job_id, wanted, reason) for job_id in job_ids]

    def _change(self, command: Command, job_id: str, wanted: JobFilter, reason: str) -> ChangeReceipt:
        record = self._tables.jobs.get(job_id)
        if record is None:
            return ChangeReceipt(job_id, ChangeOutcome.NOT_FOUND)
        if not matches(record.snapshot(), wanted):
            return ChangeReceipt(job_id, ChangeOutcome.NO_MATCH, record.state)
        try:
            change(self._tables, command, job_id, reason)
        except InvalidJobStateError:
            return ChangeReceipt(job_id, ChangeOutcome.REFUSED, record.state)
        return ChangeReceipt(job_id, ChangeOutcome.DONE, record.state if job_id in self._tables.jobs else None)

    def _matching(
        self, wanted: JobFilter, cursor: str | None = None, *, oldest_first: bool = False
    ) -> Iterator[JobData]:
        is_after = gt if oldest_first else lt
        for record in self._tables.jobs.values():
            if cursor is not None and not is_after(record.id, cursor):
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
