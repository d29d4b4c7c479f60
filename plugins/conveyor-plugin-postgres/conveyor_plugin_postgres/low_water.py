"""Where the ready jobs of each queue begin, as far as this process knows: its next fetch need not look before that.

What was fetched leaves dead entries at the head of the index, and while a transaction is open elsewhere nobody may
clear them away: each fetch from the start would walk over all of them. A mark says after which place to start. It may
starve nobody: it holds for a short while only, and not beyond any sign that there may be jobs before it. And the
server, where it does not find enough after the mark, looks before it in the same step.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
from attrs import define, frozen

from conveyor.model.events import NotificationKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor.model.events import Notification
    from conveyor.model.queries import Want
    from conveyor_plugin_postgres.part import Row

__all__ = ["LowWater", "Place", "Start", "queue_and_place"]

# Priority, order_at and order_seq of a job.
Place: TypeAlias = tuple[int, int, int]

# The others tell of jobs that ended, or that are not ready yet.
_MAY_BE_BEFORE: Final = frozenset({NotificationKind.ADDED, NotificationKind.CHANGED, NotificationKind.ANYTHING})
_QUEUE, _PRIORITY, _ORDER_AT, _ORDER_SEQ = 1, 6, 19, 20


def queue_and_place(row: Row) -> tuple[str, Place]:
    """Return the queue of a fetched job, and its place there."""
    return row[_QUEUE], (row[_PRIORITY], row[_ORDER_AT], row[_ORDER_SEQ])


@define
class _Mark:
    place: Place | None = None
    # When a fetch began that looked from the start.
    looked_at: float = -math.inf
    # How often something may have come before it.
    changes: int = 0


@frozen
class Start:
    """Where one fetch starts, for each of its wants; None: at the first job."""

    places: tuple[Place | None, ...]
    changes: tuple[int | None, ...]

    @property
    def columns(self) -> tuple[list[int | None], list[int | None], list[int | None]]:
        """The last arguments of the database's function fetch_jobs, except for the time."""
        columns = zip(*(place or (None, None, None) for place in self.places), strict=True)
        priorities, ats, seqs = (list(column) for column in columns)
        return priorities, ats, seqs


class LowWater:
    """The marks of one process. Everything is called on the thread of the event loop."""

    def __init__(self, interval_seconds: float) -> None:
        """Look from the start at least so often."""
        self._interval_seconds = interval_seconds
        self._marks: dict[str, _Mark] = {}

    def begin(self, wants: Sequence[Want]) -> Start:
        """Return where a fetch is to start; what it brings is to be told to `learn`."""
        names = [want.queue_name for want in wants]
        marks = [self._mark(want) if names.count(want.queue_name) == 1 else None for want in wants]
        now = anyio.current_time()
        for mark in marks:
            if mark is not None and (mark.place is None or now - mark.looked_at >= self._interval_seconds):
                mark.place, mark.looked_at = None, now
        return Start(
            tuple(None if mark is None else mark.place for mark in marks),
            tuple(None if mark is None else mark.changes for mark in marks),
        )

    def learn(self, wants: Sequence[Want], start: Start, rows: Iterable[Row]) -> None:
        """Mark how far the fetch came in queues that gave all it asked for."""
        places: dict[str, list[Place]] = {}
        for name, place in map(queue_and_place, rows):
            places.setdefault(name, []).append(place)
        for want, changes in zip(wants, start.changes, strict=True):
            mark = self._marks.get(want.queue_name)
            if changes is None or mark is None or mark.changes != changes:
                continue
            found = places.get(want.queue_name, [])
            if len(found) < want.limit:
                mark.place = None
            else:
                mark.place = max(found) if mark.place is None else max(mark.place, *found)

    def hear(self, notification: Notification) -> None:
        """Start at the first job again, where there may be jobs before the mark."""
        if notification.kind not in _MAY_BE_BEFORE:
            return
        for queue_name in (notification.queue_name,) if notification.queue_name else tuple(self._marks):
            mark = self._marks.get(queue_name)
            if mark is not None:
                mark.place = None
                mark.changes += 1

    def _mark(self, want: Want) -> _Mark | None:
        if want.lifo or want.is_suspect or want.job_name is not None or want.limit <= 0:
            return None
        return self._marks.setdefault(want.queue_name, _Mark())
