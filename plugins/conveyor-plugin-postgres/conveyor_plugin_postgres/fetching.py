"""Fetching jobs from PostgreSQL: locking the next ones for a worker session."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from conveyor.codec import encode_json
from conveyor_plugin_postgres.rows import interval, jobs_from_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from conveyor.model.job import JobData
    from conveyor.model.queries import Want
    from conveyor_plugin_postgres.low_water import Start
    from conveyor_plugin_postgres.part import Part, Row

__all__ = ["fetch_columns", "fetch_jobs", "jobs_in_order"]

_QUEUE, _NAME, _PRIORITY, _STALLED_COUNT, _ORDER_AT, _ORDER_SEQ = 1, 2, 6, 8, 19, 20
_in_order: Final = itemgetter(_PRIORITY, _ORDER_AT, _ORDER_SEQ)


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
    if len(wants) == 1 and not wants[0].lifo:
        rows.sort(key=_in_order)
    else:
        rows = _as_wanted(rows, wants)
    return jobs_from_rows(rows)


def _as_wanted(rows: Sequence[Row], wants: Sequence[Want]) -> list[Row]:
    """Return the rows want by want: each got the first in its order of those that the wants before it left."""
    answer: list[Row] = []
    rest = rows
    for want in wants:
        meant = [row for row in rest if _is_meant(row, want)]
        if not meant:
            continue
        meant.sort(key=_in_lifo_order if want.lifo else _in_order)
        got = meant[: max(want.limit, 0)]
        answer += got
        ids = {row[0] for row in got}
        rest = [row for row in rest if row[0] not in ids]
    # A fetch that is repeated may want less than the first time; it gets the same.
    return [*answer, *sorted(rest, key=_in_order)]


def _is_meant(row: Row, want: Want) -> bool:
    is_named = want.queue_name == row[_QUEUE] and want.job_name in {None, row[_NAME]}
    return is_named and want.is_suspect == (row[_STALLED_COUNT] > 0)


def _in_lifo_order(row: Row) -> tuple[int, bool, int, int]:
    order_at, order_seq = row[_ORDER_AT], row[_ORDER_SEQ]
    # Those with the option stand the other way round as they are.
    is_plain = order_at >= 0
    return (row[_PRIORITY], True, -order_at, -order_seq) if is_plain else (row[_PRIORITY], False, order_at, order_seq)
