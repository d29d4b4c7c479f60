"""Events, which record what happened, and notifications: wake-ups through a store, hints and never the truth."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from attrs import define

from conveyor.model.states import JobState

if TYPE_CHECKING:
    from datetime import datetime

    from conveyor.model.job import ErrorInfo, Progress

__all__ = [
    "EVENTS_KEPT",
    "EVENTS_KEPT_FOR",
    "EventKind",
    "EventPage",
    "EventRecord",
    "EventWatch",
    "Notification",
    "NotificationKind",
    "event_kind",
]

# Events that nobody has read are kept in a store no longer than this, and no more of them.
EVENTS_KEPT_FOR: Final = timedelta(minutes=1)
EVENTS_KEPT: Final = 100_000


class NotificationKind(StrEnum):
    """What a hint says happened.

    ADDED: jobs of the queue may have become runnable. FINISHED: jobs of the queue ended.
    REVOKED: a running job was taken from its worker. CHANGED: the queue was paused, resumed or emptied.
    DELAYED: a job of the queue became due at a later time than now, so timers may have to move.
    SCHEDULED: so did the next tick of a schedule that adds to the queue.
    ANYTHING: something happened, or hints were lost; check what you care for.
    """

    ADDED = "added"
    DELAYED = "delayed"
    SCHEDULED = "scheduled"
    FINISHED = "finished"
    REVOKED = "revoked"
    CHANGED = "changed"
    ANYTHING = "anything"


class Notification(NamedTuple):
    """One hint; an empty queue name means any queue, `job_id` is given for REVOKED alone."""

    kind: NotificationKind
    queue_name: str = ""
    job_id: str = ""


class EventKind(StrEnum):
    """What happened: to a job, to a queue (PAUSED, RESUMED, DRAINED), or to the stream itself (LOST).

    RETRIED: an attempt failed and another comes, at once or later. RELEASED: a run was handed back and counts for
    nothing. DELAYED: a job that was there already was put off. CHILDREN_DONE: a job need wait for its children no more.
    REMOVED: the record of a job is gone; of one that goes as it ends, this follows its end.
    LOST: events are missing here, `count` of them; 0 where nobody knows how many.
    """

    ADDED = "added"
    PROMOTED = "promoted"
    ACTIVE = "active"
    PROGRESS = "progress"
    RETRIED = "retried"
    DELAYED = "delayed"
    WAITING_CHILDREN = "waiting_children"
    CHILDREN_DONE = "children_done"
    RELEASED = "released"
    STALLED = "stalled"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RERUN = "rerun"
    REMOVED = "removed"
    PAUSED = "paused"
    RESUMED = "resumed"
    DRAINED = "drained"
    LOST = "lost"


@define
class EventRecord:
    """One event, as a store keeps it. Treat it as frozen: it is not, because one is made for each step of a job.

    Attributes:
        at: when it was written, by the store's clock.
        queue_name: empty for LOST where it concerns all queues.
        job_id: empty where it concerns a queue.
        job_name: of PAUSED and RESUMED, the name that was; empty: the whole queue.
        progress: of PROGRESS.
        result: of COMPLETED, as the store keeps it; None: the handler returned nothing.
        error: of FAILED, CANCELLED and RETRIED.
        count: of LOST and DRAINED, how many.
    """

    kind: EventKind
    at: datetime
    queue_name: str
    job_id: str = ""
    job_name: str = ""
    progress: Progress | None = None
    result: bytes | None = None
    error: ErrorInfo | None = None
    count: int = 0


class EventWatch(NamedTuple):
    """What a watcher was answered: where it stands, and whether events are recorded for it only from now on."""

    cursor: str
    is_new: bool


class EventPage(NamedTuple):
    """Events in their order, where to read on, and how many were gone before they were read (at most)."""

    events: list[EventRecord]
    cursor: str
    lost_count: int = 0


_OF_RUNS: Final = {
    JobState.DELAYED: EventKind.DELAYED,
    JobState.WAITING: EventKind.RELEASED,
    JobState.WAITING_CHILDREN: EventKind.WAITING_CHILDREN,
}
_OF_OTHERS: Final = {
    (JobState.DELAYED, JobState.WAITING): EventKind.PROMOTED,
    (JobState.WAITING, JobState.DELAYED): EventKind.DELAYED,
    (JobState.WAITING_CHILDREN, JobState.WAITING): EventKind.CHILDREN_DONE,
    (JobState.WAITING_CHILDREN, JobState.DELAYED): EventKind.CHILDREN_DONE,
}


def event_kind(
    before: JobState, after: JobState, *, has_counted: bool = False, has_stalled: bool = False
) -> EventKind | None:
    """Return what it is called that a job came from one state to another; None: nothing happened.

    `has_counted` and `has_stalled` say whether the run that ended by it counts as an attempt, or as a stall.
    """
    if before is after:
        return None
    if after in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.ACTIVE):
        return EventKind(after)
    if before.is_settled:
        return EventKind.RERUN
    if before is not JobState.ACTIVE:
        return _OF_OTHERS.get((before, after))
    if has_stalled:
        return EventKind.STALLED
    return EventKind.RETRIED if has_counted else _OF_RUNS[after]
