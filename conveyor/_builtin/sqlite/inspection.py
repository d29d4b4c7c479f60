"""The inspection facet of the SQLite store."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

from conveyor._builtin.sqlite.rows import from_micros, job_from_row, to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.model.queries import Page, QueueInfo
from conveyor.model.states import JobState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.readers import Readers
    from conveyor.model.queries import JobFilter

__all__ = ["SqliteInspection"]

_FilterRow: TypeAlias = tuple[str | None, str | None, str | None, str, int | None, int | None, str | None]


class SqliteInspection:
    """Looking around, over all queues. See `conveyor.contracts.store.inspection`."""

    def __init__(self, readers: Readers) -> None:
        self._read = readers.run

    async def list_queues(self) -> Sequence[QueueInfo]:
        """Return every queue, by name."""
        return await self._read(_list_queues)

    async def search_jobs(self, wanted: JobFilter, /, *, cursor: str | None = None, limit: int = 100) -> Page:
        """Return jobs that match, by id from the highest down."""
        return await self._read(_search_jobs, wanted, cursor, max(limit, 0))

    async def count_matching(self, wanted: JobFilter, /, *, cap: int = 100_000) -> int:
        """Return how many jobs match, at most `cap`."""
        return await self._read(_count_matching, wanted, max(cap, 0))


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


def _search_jobs(connection: sqlite3.Connection, wanted: JobFilter, cursor: str | None, limit: int) -> Page:
    rows = connection.execute(sql("inspection/search_jobs"), (*_filter_row(wanted), cursor, limit + 1)).fetchall()
    jobs = [job_from_row(row) for row in rows[:limit]]
    return Page(jobs, jobs[-1].id if jobs and len(rows) > limit else None)


def _count_matching(connection: sqlite3.Connection, wanted: JobFilter, cap: int) -> int:
    count: int = connection.execute(sql("inspection/count_matching"), (*_filter_row(wanted), cap)).fetchone()[0]
    return count


def _filter_row(wanted: JobFilter) -> _FilterRow:
    return (
        _array(wanted.queue_names),
        _array(wanted.names),
        _array(wanted.states),
        json.dumps(wanted.tags),
        None if wanted.created_from is None else to_micros(wanted.created_from),
        None if wanted.created_to is None else to_micros(wanted.created_to),
        # ASCII letters only, which is what SQLite's lower() does.
        wanted.text.encode().lower().decode() or None,
    )


def _array(words: Sequence[str]) -> str | None:
    return json.dumps(words) if words else None
