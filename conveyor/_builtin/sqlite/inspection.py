"""The inspection facet of the SQLite store."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from conveyor._builtin.sqlite.changes import change_jobs
from conveyor._builtin.sqlite.rows import error_group_from_row, from_micros, job_from_row, to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.model.error_groups import ErrorGroupPage, cursor_after, parse_cursor
from conveyor.model.queries import Page, QueueInfo, StoreStats
from conveyor.model.states import JobState, check_operated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.contracts.clock import Clock
    from conveyor.model.bulk import ChangeReceipt
    from conveyor.model.error_groups import ErrorGroupFilter
    from conveyor.model.job import JobData
    from conveyor.model.queries import JobFilter
    from conveyor.model.states import Command

__all__ = ["SqliteInspection"]

_FilterRow: TypeAlias = tuple[str | int | None, ...]


class SqliteInspection:
    """Looking around, over all queues. See `conveyor.contracts.store.inspection`."""

    def __init__(self, writer: Writer, readers: Readers, clock: Clock) -> None:
        self._write = writer.run
        self._read = readers.run
        self._clock = clock

    async def list_queues(self) -> Sequence[QueueInfo]:
        """Return every queue, by name."""
        return await self._read(_list_queues)

    async def get_stats(self, window: timedelta, /) -> StoreStats:
        """Return how large the file is, and what settled lately."""
        return await self._read(_get_stats, to_micros(self._clock.now() - window))

    async def search_jobs(
        self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100, oldest_first: bool = False
    ) -> Page:
        """Return jobs that match, by id from the highest down, or from the lowest up."""
        at = self._clock.now()
        name = "inspection/search_jobs_oldest" if oldest_first else "inspection/search_jobs"
        jobs, next_cursor = await self._read(_search_jobs, name, wanted, cursor, max(limit, 0))
        return Page(jobs, next_cursor, at)

    async def count_matching(self, wanted: JobFilter, /, *, cap: int = 100_000) -> int:
        """Return how many jobs match, at most `cap`."""
        return await self._read(_count_matching, wanted, max(cap, 0))

    async def list_error_groups(
        self, wanted: ErrorGroupFilter, /, *, cursor: str | None = None, limit: int = 100
    ) -> ErrorGroupPage:
        """Return the groups of the jobs that are failed now."""
        before = None if cursor is None else parse_cursor(cursor)
        return await self._read(_list_error_groups, wanted, before, max(limit, 0))

    async def change_jobs(
        self, command: Command, job_ids: Sequence[str], wanted: JobFilter, /, *, reason: str = ""
    ) -> Sequence[ChangeReceipt]:
        """Cancel, promote, rerun or remove those of the jobs that match."""
        check_operated(command)
        return await self._write(change_jobs, command, job_ids, wanted, reason)


def _list_queues(connection: sqlite3.Connection) -> Sequence[QueueInfo]:
    counts: defaultdict[str, dict[JobState, int]] = defaultdict(lambda: dict.fromkeys(JobState, 0))
    oldest: dict[str, int] = {}
    paused: defaultdict[str, set[str]] = defaultdict(set)
    for queue_name, state, count, run_at in connection.execute(sql("inspection/list_queues")):
        counts[queue_name][JobState(state)] = count
        if run_at is not None:
            oldest[queue_name] = run_at
    for queue_name, name in connection.execute(sql("inspection/list_queues_paused")):
        paused[queue_name].add(name)
    return [
        QueueInfo(
            name,
            counts[name],
            frozenset(paused.get(name, ())),
            from_micros(oldest[name]) if name in oldest else None,
        )
        for (name,) in connection.execute(sql("inspection/list_queues_names"))
    ]


def _get_stats(connection: sqlite3.Connection, since: int) -> StoreStats:
    size: int = connection.execute(sql("inspection/get_stats_size")).fetchone()[0]
    settled = {state: 0 for state in JobState if state.is_settled}
    for state, count in connection.execute(sql("inspection/get_stats"), (since,)):
        settled[JobState(state)] = count
    return StoreStats(size, settled)


def _search_jobs(
    connection: sqlite3.Connection, name: str, wanted: JobFilter, cursor: str | None, limit: int
) -> tuple[Sequence[JobData], str | None]:
    rows = connection.execute(sql(name), (*_filter_row(wanted), cursor, limit + 1)).fetchall()
    jobs = [job_from_row(row) for row in rows[:limit]]
    return jobs, jobs[-1].id if jobs and len(rows) > limit else None


def _count_matching(connection: sqlite3.Connection, wanted: JobFilter, cap: int) -> int:
    count: int = connection.execute(sql("inspection/count_matching"), (*_filter_row(wanted), cap)).fetchone()[0]
    return count


def _list_error_groups(
    connection: sqlite3.Connection, wanted: ErrorGroupFilter, before: tuple[datetime, str] | None, limit: int
) -> ErrorGroupPage:
    place = (None, None) if before is None else (to_micros(before[0]), before[1])
    asked = (_array(wanted.queue_names), _array(wanted.names), _array(wanted.ids), *place, limit + 1)
    rows = connection.execute(sql("inspection/list_error_groups"), asked).fetchall()
    groups = [error_group_from_row(row) for row in rows[:limit]]
    return ErrorGroupPage(groups, cursor_after(groups[-1]) if groups and len(rows) > limit else None)


def _filter_row(wanted: JobFilter) -> _FilterRow:
    return (
        _array(wanted.queue_names),
        _array(wanted.names),
        _array(wanted.states),
        json.dumps(wanted.tags),
        _micros(wanted.created_from),
        _micros(wanted.created_to),
        _needle(wanted.text),
        _micros(wanted.finished_from),
        _micros(wanted.finished_to),
        _needle(wanted.error),
        wanted.min_attempts,
        wanted.error_group or None,
    )


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _needle(text: str) -> str | None:
    # ASCII letters only, which is what SQLite's lower() does.
    return text.encode().lower().decode() or None


def _array(words: Sequence[str]) -> str | None:
    return json.dumps(words) if words else None
