"""The inspection facet of the PostgreSQL store."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from conveyor.model.error_groups import ErrorGroupPage, cursor_after, parse_cursor
from conveyor.model.queries import Page, QueueInfo, StoreStats
from conveyor.model.states import JobState, check_operated
from conveyor_plugin_postgres.changes import change_jobs
from conveyor_plugin_postgres.rows import error_group_from_row, interval, jobs_from_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from conveyor.model.bulk import ChangeReceipt
    from conveyor.model.error_groups import ErrorGroupFilter
    from conveyor.model.queries import JobFilter
    from conveyor.model.states import Command
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part

__all__ = ["PostgresInspection"]


class PostgresInspection:
    """Looking around, over all queues. See `conveyor.contracts.store.inspection`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_queues(self) -> Sequence[QueueInfo]:
        """Return every queue, by name."""
        return await self._database.read(_list_queues)

    async def get_stats(self, window: timedelta, /) -> StoreStats:
        """Return how large the schema is, and what settled lately."""
        return await self._database.read(_get_stats, window)

    async def search_jobs(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        """Return jobs that match, by id from the highest down, or from the lowest up."""
        name = "inspection/search_jobs_oldest" if oldest_first else "inspection/search_jobs"
        return await self._database.read(_search_jobs, name, wanted, cursor, max(limit, 0))

    async def count_matching(self, wanted: JobFilter, /, *, cap: int = 100_000) -> int:
        """Return how many jobs match, at most `cap`."""
        return await self._database.read(_count_matching, wanted, max(cap, 0))

    async def list_error_groups(
        self, wanted: ErrorGroupFilter, /, *, cursor: str | None = None, limit: int = 100
    ) -> ErrorGroupPage:
        """Return the groups of the jobs that are failed now."""
        before = None if cursor is None else parse_cursor(cursor)
        return await self._database.read(_list_error_groups, wanted, before, max(limit, 0))

    async def change_jobs(
        self, command: Command, job_ids: Sequence[str], wanted: JobFilter, /, *, reason: str = ""
    ) -> Sequence[ChangeReceipt]:
        """Cancel, promote, rerun or remove those of the jobs that match."""
        check_operated(command)
        return await self._database.write(change_jobs, command, job_ids, wanted, reason)


async def _list_queues(part: Part) -> Sequence[QueueInfo]:
    counts: defaultdict[str, dict[JobState, int]] = defaultdict(lambda: dict.fromkeys(JobState, 0))
    oldest: dict[str, datetime] = {}
    paused: defaultdict[str, set[str]] = defaultdict(set)
    for queue_name, state, count, run_at in await part.fetch("inspection/list_queues"):
        counts[queue_name][JobState(state)] = count
        if run_at is not None:
            oldest[queue_name] = run_at
    for queue_name, name in await part.fetch("inspection/list_queues_paused"):
        paused[queue_name].add(name)
    return [
        QueueInfo(name, counts[name], frozenset(paused.get(name, ())), oldest.get(name))
        for (name,) in await part.fetch("inspection/list_queues_names")
    ]


async def _get_stats(part: Part, window: timedelta) -> StoreStats:
    size: int = await part.fetchval("inspection/get_stats_size", part.statements.schema)
    settled = {state: 0 for state in JobState if state.is_settled}
    for state, count in await part.fetch("inspection/get_stats", interval(window), part.moment):
        settled[JobState(state)] = count
    return StoreStats(size, settled)


async def _search_jobs(part: Part, name: str, wanted: JobFilter, cursor: str | None, limit: int) -> Page:
    at = await part.now()
    rows = await part.fetch(name, *_filter_row(wanted), cursor, limit + 1)
    jobs = jobs_from_rows(rows[:limit])
    return Page(jobs, jobs[-1].id if jobs and len(rows) > limit else None, at)


async def _count_matching(part: Part, wanted: JobFilter, cap: int) -> int:
    count: int = await part.fetchval("inspection/count_matching", *_filter_row(wanted), cap)
    return count


async def _list_error_groups(
    part: Part, wanted: ErrorGroupFilter, before: tuple[datetime, str] | None, limit: int
) -> ErrorGroupPage:
    asked = [list(names) or None for names in (wanted.queue_names, wanted.names, wanted.ids)]
    rows = await part.fetch("inspection/list_error_groups", *asked, *(before or (None, None)), limit + 1)
    groups = [error_group_from_row(row) for row in rows[:limit]]
    return ErrorGroupPage(groups, cursor_after(groups[-1]) if groups and len(rows) > limit else None)


def _filter_row(wanted: JobFilter) -> tuple[Any, ...]:
    return (
        list(wanted.queue_names) or None,
        list(wanted.names) or None,
        [state.value for state in wanted.states] or None,
        list(wanted.tags),
        wanted.created_from,
        wanted.created_to,
        _needle(wanted.text),
        wanted.finished_from,
        wanted.finished_to,
        _needle(wanted.error),
        wanted.min_attempts,
        wanted.error_group or None,
    )


def _needle(text: str) -> str | None:
    """Return what to look for; ASCII letters small, others as they stand, as the database does it under "C"."""
    return text.encode("utf-8").lower().decode("utf-8") or None
