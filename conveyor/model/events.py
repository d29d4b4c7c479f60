"""Notifications: wake-ups that travel through a store. They are hints, never the truth."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["Notification", "NotificationKind"]


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
