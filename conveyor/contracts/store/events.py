"""The events facet: what happens, recorded while somebody watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import timedelta

    from conveyor.model.events import EventPage, EventWatch

__all__ = ["EventStore"]


class EventStore(Protocol):
    """A record of what happens to jobs and queues, written by the verbs themselves, in their own transactions.

    Nothing is recorded of a queue that nobody watches. What is, follows `conveyor.model.events.event_kind` for every
    change of a job's state, and besides: ADDED, PROGRESS, REMOVED; PAUSED and RESUMED where that changes anything;
    DRAINED, after the REMOVED of its jobs. A store may drop many records at once by their age, without a REMOVED for
    each. What is refused, or was applied before, leaves no event.

    Of one job, events are read in the order in which they were committed, each at most once.
    """

    async def watch_events(self, watcher_id: str, queue_name: str, duration: timedelta, /) -> EventWatch:
        """Record the events of a queue (all queues: an empty name) for a watcher, from now on and for so long.

        Whatever is committed by a call that began after this one returned is recorded. Answers the cursor of the
        present, and whether the watcher is new. Asked again before that is over, it goes on without a gap; after
        that, events may be missing, and it is new again.
        """
        ...

    async def read_events(self, queue_name: str, cursor: str, /, *, limit: int = 1000) -> EventPage:
        """Return at most so many recorded events of a queue (or all) after a cursor of these, and the next cursor.

        Fewer than `limit` means that there are no more for now. Events that were not read are kept for at least half a
        minute, unless they are more than `EVENTS_KEPT`; the answer says how many were gone by then.
        """
        ...

    async def unwatch_events(self, watcher_id: str, /) -> None:
        """Record no more for this watcher; one that is unknown is no error."""
        ...

    async def prune_events(self) -> int:
        """Forget watchers whose time is over and events that are too old or too many; return how many events went.

        Where nobody watches any more, all of them go, and a job costs again what it cost without.
        """
        ...
