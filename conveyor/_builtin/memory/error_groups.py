"""Failed jobs of the memory store, grouped by the fingerprints of their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.model.error_groups import ErrorGroup, ErrorGroupPage, cursor_after, parse_cursor
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import Tables
    from conveyor.model.error_groups import ErrorGroupFilter

__all__ = ["list_error_groups"]


def list_error_groups(tables: Tables, wanted: ErrorGroupFilter, cursor: str | None, limit: int) -> ErrorGroupPage:
    """Return the groups that match after the cursor, those that failed last first."""
    before = None if cursor is None else parse_cursor(cursor)
    alike: dict[str, list[JobRecord]] = {}
    for record, fingerprint in _failed(tables, wanted):
        alike.setdefault(fingerprint, []).append(record)
    groups = sorted((_group(id, records) for id, records in alike.items()), key=_place, reverse=True)
    after = [group for group in groups if before is None or _place(group) < before]
    page = after[: max(limit, 0)]
    return ErrorGroupPage(page, cursor_after(page[-1]) if page and len(after) > len(page) else None)


def _failed(tables: Tables, wanted: ErrorGroupFilter) -> Iterator[tuple[JobRecord, str]]:
    for queue in tables.queues.values():
        if wanted.queue_names and queue.name not in wanted.queue_names:
            continue
        for record in queue.by_state[JobState.FAILED].values():
            fingerprint = "" if record.error is None else record.error.fingerprint
            is_named = not wanted.names or record.name in wanted.names
            if fingerprint and is_named and (not wanted.ids or fingerprint in wanted.ids):
                yield record, fingerprint


def _place(group: ErrorGroup) -> tuple[datetime, str]:
    return group.last_at, group.id


def _group(id: str, records: Sequence[JobRecord]) -> ErrorGroup:
    ends = [(record.finished_at, record.sequence, record) for record in records if record.finished_at is not None]
    last_at, _, example = max(ends)
    error = example.error
    return ErrorGroup(
        id,
        example.queue.name,
        example.name,
        error_type="" if error is None else error.type,
        message="" if error is None else error.message,
        count=len(ends),
        first_at=min(ends)[0],
        last_at=last_at,
        example_id=example.id,
    )
