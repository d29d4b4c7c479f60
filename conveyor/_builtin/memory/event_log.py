"""What the memory store writes down of its jobs and queues while somebody watches."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from conveyor.model.events import EVENTS_KEPT, EventKind, EventPage, EventRecord, event_kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from conveyor._builtin.memory.records import JobRecord
    from conveyor.model.states import JobState

__all__ = ["EventLog"]


class _Standing(NamedTuple):
    """What is compared of a job before and after."""

    state: JobState
    attempts_made: int
    stalled_count: int


class EventLog:
    """Events of all queues in the order in which they happened; the oldest go when there are too many."""

    def __init__(self, now: Callable[[], datetime], *, kept: int = EVENTS_KEPT) -> None:
        self._now = now
        self._kept = kept
        self._events: list[EventRecord] = []
        # The number of the first event that is there; it counts from 1.
        self._first = 1
        self._left: dict[str, _Standing] = {}

    @property
    def last(self) -> int:
        """The number of the last event there was."""
        return self._first + len(self._events) - 1

    def added(self, record: JobRecord, state: JobState) -> None:
        """Note a job that was added and is about to enter its first state."""
        self._left[record.id] = _Standing(state, 0, 0)
        self._note(EventKind.ADDED, record)

    def leaving(self, record: JobRecord) -> None:
        """Remember how a job stands that is about to leave its state."""
        self._left[record.id] = _standing(record)

    def entering(self, record: JobRecord, state: JobState) -> None:
        """Note what it means that a job comes to a state; `record` is not there yet."""
        before = self._left.pop(record.id, None) or _standing(record)
        kind = event_kind(
            before.state,
            state,
            has_counted=record.attempts_made > before.attempts_made,
            has_stalled=record.stalled_count > before.stalled_count,
        )
        if kind is not None:
            self._note(kind, record)

    def forgotten(self, record: JobRecord) -> None:
        """Note that a job is gone, and its end before, if it went by that."""
        if record.id in self._left:
            self.entering(record, record.state)
        self._note(EventKind.REMOVED, record)

    def reported(self, record: JobRecord) -> None:
        """Note how far a job is."""
        self._note(EventKind.PROGRESS, record)

    def told(self, kind: EventKind, queue_name: str, *, job_name: str = "", count: int = 0) -> None:
        """Note what happened to a queue."""
        self._append(EventRecord(kind, self._now(), queue_name, job_name=job_name, count=count))

    def _note(self, kind: EventKind, record: JobRecord) -> None:
        event = EventRecord(kind, self._now(), record.queue.name, record.id, record.name)
        if kind is EventKind.PROGRESS:
            event.progress = record.progress
        elif kind is EventKind.COMPLETED:
            event.result = record.result
        elif kind in (EventKind.FAILED, EventKind.CANCELLED, EventKind.RETRIED):
            event.error = record.error
        self._append(event)

    def _append(self, event: EventRecord) -> None:
        self._events.append(event)
        if len(self._events) >= 2 * self._kept:
            self.forget_before(self.last - self._kept)

    def read(self, queue_name: str, cursor: int, limit: int) -> EventPage:
        """Return the events of a queue, or of all, after a cursor."""
        lost = max(self._first - 1 - cursor, 0)
        place = cursor + lost
        found: list[EventRecord] = []
        for event in islice(self._events, place - self._first + 1, None):
            if len(found) >= limit:
                break
            place += 1
            if queue_name in ("", event.queue_name):
                found.append(event)
        return EventPage(found, str(place), lost)

    def forget_before(self, number: int) -> int:
        """Forget events up to this number; return how many."""
        count = max(min(number, self.last) - self._first + 1, 0)
        del self._events[:count]
        self._first += count
        return count

    def forget_old(self, written_by: datetime) -> int:
        """Forget what was written by this time, and what is too much; return how many."""
        old = next((place for place, event in enumerate(self._events) if event.at > written_by), len(self._events))
        return self.forget_before(max(self._first + old - 1, self.last - self._kept))

    def forget_all(self) -> int:
        """Forget everything; nobody watches."""
        self._left.clear()
        return self.forget_before(self.last)


def _standing(record: JobRecord) -> _Standing:
    return _Standing(record.state, record.attempts_made, record.stalled_count)
