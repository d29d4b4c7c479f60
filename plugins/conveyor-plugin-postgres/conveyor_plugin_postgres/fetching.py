"""Fetching jobs from PostgreSQL: locking the next ones for a worker session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conveyor.codec import encode_json
from conveyor.model.fetch_order import FetchColumns, ordered_as_wanted
from conveyor_plugin_postgres.rows import interval, jobs_from_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.model.job import JobData
    from conveyor.model.queries import Want
    from conveyor_plugin_postgres.low_water import Start
    from conveyor_plugin_postgres.part import Part, Row

__all__ = ["fetch_columns", "fetch_jobs", "jobs_in_order"]

_COLUMNS: Final = FetchColumns(queue=1, name=2, priority=6, stalled_count=8, order_at=19, order_seq=20)


async def fetch_jobs(part: Part, fetch: tuple[Any, ...]) -> list[Row]:
    """Lock the next jobs for all wants, and return their rows; `fetch` is made by `fetch_columns`.

    Raises:
        SessionLostError: there is no such session.
    """
    *columns, exclusions = fetch
    return await part.fetch("jobs/fetch_jobs", *columns, part.moment, exclusions)


def fetch_columns(
    wants: Sequence[Want], start: Start, session_id: str, lock_duration: timedelta, fetch_number: int
) -> tuple[Any, ...]:
    """Return the arguments of the database's function fetch_jobs, except for the time."""
    return (
        session_id,
        fetch_number,
        interval(lock_duration),
        [want.queue_name for want in wants],
        [want.limit for want in wants],
        [want.lifo for want in wants],
        [want.job_name for want in wants],
        [want.is_suspect for want in wants],
        *start.columns,
        _exclusions(wants),
    )


def _exclusions(wants: Sequence[Want]) -> str | None:
    if not any(want.exclude_groups for want in wants):
        return None
    return encode_json([list(want.exclude_groups) for want in wants]).decode()


def jobs_in_order(rows: list[Row], wants: Sequence[Want]) -> list[JobData]:
    """Return the jobs of a fetch's rows in the order of the wants, and within each in the order of the queue."""
    return jobs_from_rows(ordered_as_wanted(rows, wants, _COLUMNS))
