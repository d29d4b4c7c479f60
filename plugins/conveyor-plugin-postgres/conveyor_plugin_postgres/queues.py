"""The queues facet of the PostgreSQL store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor.errors import ConfigurationError
from conveyor.model.events import EventKind, NotificationKind
from conveyor.model.queries import ALL_NAMES
from conveyor.model.states import SETTLED_STATES, Command, JobState, refuse
from conveyor_plugin_postgres.changes import rerun_job
from conveyor_plugin_postgres.events import note_of_queue
from conveyor_plugin_postgres.ids import ALWAYS
from conveyor_plugin_postgres.removing import NONE_ENDED, remove_jobs
from conveyor_plugin_postgres.rows import interval, jobs_from_rows
from conveyor_plugin_postgres.telling import lock_flows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from conveyor.model.job import JobData
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part

__all__ = ["PostgresQueues"]

# Others may write between two chunks.
_DRAINED_AT_ONCE: Final = 5000
# What is forgotten with a queue; its guard goes first, so that nobody fetches by its limits meanwhile.
_OF_QUEUE: Final = (
    "queues/obliterate_guards",
    "queues/obliterate_new_guards",
    "queues/obliterate_queue_groups",
    "queues/obliterate_rates",
    "queues/obliterate_counts",
    "queues/obliterate_starts",
)


class PostgresQueues:
    """Whole queues: pause, count, list, clean. See `conveyor.contracts.store.queues`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pause_job_name(self, queue_name: str, job_name: str, /) -> None:
        """Fetch no more jobs of this name, or of the whole queue."""
        await self._database.write(_set_paused, "queues/pause_job_name", queue_name, job_name)

    async def resume_job_name(self, queue_name: str, job_name: str, /) -> None:
        """Undo `pause_job_name` for exactly this name."""
        await self._database.write(_set_paused, "queues/resume_job_name", queue_name, job_name)

    async def get_paused_job_names(self, queue_name: str, /) -> frozenset[str]:
        """Return what is paused."""
        return await self._database.read(_paused_job_names, queue_name)

    async def get_active_count(self, queue_name: str, /) -> int:
        """Return how many jobs run."""
        return await self.count_jobs(queue_name, JobState.ACTIVE)

    async def count_jobs(self, queue_name: str, state: JobState, /) -> int:
        """Return how many jobs are in this state."""
        return (await self.get_job_counts(queue_name))[state]

    async def get_job_counts(self, queue_name: str, /) -> Mapping[JobState, int]:
        """Return the counts of all states."""
        return await self._database.read(_job_counts, queue_name)

    async def list_jobs(
        self, queue_name: str, state: JobState, /, *, start: int = 0, end: int = 100
    ) -> Sequence[JobData]:
        """Return a page of jobs."""
        return await self._database.read(_list_jobs, queue_name, state, start, end)

    async def drain(self, queue_name: str, /) -> int:
        """Remove all jobs that neither run nor are settled, in chunks; those added meanwhile may stay."""
        bound = await self._database.read(_last_seq)
        removed = 0
        # Parents first: their children's removal would make them fail.
        for statement in ("queues/drain_parents", "queues/drain"):
            while chunk := await self._database.write(_drain, statement, queue_name, bound):
                removed += chunk
                if chunk < _DRAINED_AT_ONCE:
                    break
        await self._database.write_one(_tell_drained, queue_name, removed)
        return removed

    async def clean(self, queue_name: str, state: JobState, grace: timedelta, /, *, limit: int = 1000) -> int:
        """Remove settled jobs that ended longer ago than `grace`."""
        _check_settled(state)
        return await self._database.write(_clean, queue_name, state, grace, limit)

    async def obliterate(self, queue_name: str, /, *, force: bool = False) -> int:
        """Remove every job of the queue and its pauses; its limits stay."""
        return await self._database.write(_obliterate, queue_name, force)

    async def retry_jobs(self, queue_name: str, state: JobState, /, *, limit: int = 1000) -> int:
        """Rerun settled jobs, oldest first."""
        _check_settled(state)
        return await self._database.write(_retry_jobs, queue_name, state, limit)

    async def promote_jobs(self, queue_name: str, /, *, limit: int = 1000) -> int:
        """Promote delayed jobs by hand, soonest first."""
        return await self._database.write_one(_promote_jobs, queue_name, limit)


def _check_settled(state: JobState) -> None:
    if state not in SETTLED_STATES:
        settled = ", ".join(sorted(SETTLED_STATES))
        raise ConfigurationError(f"state must be one of the settled ones ({settled}), got {str(state)!r}")


async def _set_paused(part: Part, statement: str, queue_name: str, job_name: str) -> None:
    await part.execute("queues/make_queue", queue_name)
    if await part.execute(statement, queue_name, job_name):
        kind = EventKind.PAUSED if statement == "queues/pause_job_name" else EventKind.RESUMED
        await note_of_queue(part, kind, queue_name, job_name="" if job_name == ALL_NAMES else job_name)
    part.hint(NotificationKind.CHANGED, queue_name)


async def _paused_job_names(part: Part, queue_name: str) -> frozenset[str]:
    return frozenset(name for (name,) in await part.fetch("queues/get_paused_job_names", queue_name))


async def _job_counts(part: Part, queue_name: str) -> Mapping[JobState, int]:
    found: dict[str, int] = dict(await part.fetch("queues/get_job_counts", queue_name))
    return {state: found.get(state, 0) for state in JobState}


async def _list_jobs(part: Part, queue_name: str, state: JobState, start: int, end: int) -> Sequence[JobData]:
    first = max(start, 0)
    statement = "queues/list_jobs_settled" if state.is_settled else "queues/list_jobs_live"
    return jobs_from_rows(await part.fetch(statement, queue_name, state.value, max(end - first, 0), first))


async def _last_seq(part: Part) -> int:
    seq: int = await part.fetchval("queues/drain_bound")
    return seq


async def _drain(part: Part, statement: str, queue_name: str, bound: int) -> int:
    await lock_flows(part)
    job_ids = [job_id for (job_id,) in await part.fetch(statement, queue_name, bound, _DRAINED_AT_ONCE)]
    await remove_jobs(part, job_ids, NONE_ENDED)
    part.hint(NotificationKind.CHANGED, queue_name)
    return len(job_ids)


async def _tell_drained(part: Part, queue_name: str, removed: int) -> None:
    await note_of_queue(part, EventKind.DRAINED, queue_name, count=removed)


async def _clean(part: Part, queue_name: str, state: JobState, grace: timedelta, limit: int) -> int:
    await lock_flows(part)
    chosen = (queue_name, state.value, interval(grace), max(limit, 0))
    rows = await part.fetch("queues/clean", *chosen, part.moment)
    if rows:
        await remove_jobs(part, [job_id for job_id, _ in rows], (rows[0][1], rows[-1][1]))
    return len(rows)


async def _obliterate(part: Part, queue_name: str, force: bool) -> int:
    await lock_flows(part)
    live = [job_id for (job_id,) in await part.fetch("queues/obliterate", queue_name)]
    active = [job_id for (job_id,) in await part.fetch("queues/obliterate_active", queue_name)]
    if active and not force:
        raise refuse(active[0], JobState.ACTIVE, Command.REMOVE, queue_name)
    settled = [job_id for (job_id,) in await part.fetch("queues/obliterate_settled", queue_name)]
    await remove_jobs(part, [*live, *settled], ALWAYS)
    await part.execute("queues/obliterate_pauses", queue_name)
    await part.execute("queues/obliterate_keys", queue_name)
    for statement in _OF_QUEUE:
        await part.execute(statement, queue_name)
    await part.execute("queues/obliterate_queue", queue_name)
    for job_id in active:
        part.hint(NotificationKind.REVOKED, queue_name, job_id)
    part.hint(NotificationKind.CHANGED, queue_name)
    return len(live) + len(settled)


async def _retry_jobs(part: Part, queue_name: str, state: JobState, limit: int) -> int:
    await lock_flows(part)
    rows = await part.fetch("queues/retry_jobs", queue_name, state.value, max(limit, 0))
    for (job_id,) in rows:
        await rerun_job(part, job_id, None)
    return len(rows)


async def _promote_jobs(part: Part, queue_name: str, limit: int) -> int:
    promoted = await part.execute("queues/promote_jobs", queue_name, max(limit, 0), part.moment)
    if promoted:
        part.hint(NotificationKind.ADDED, queue_name)
    return promoted
