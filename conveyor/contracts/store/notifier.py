"""The notifier facet: wake-ups between workers and producers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from conveyor.model.events import Notification

__all__ = ["Notifier"]


class Notifier(Protocol):
    """Hints, at most once, coalesced: equal ones that nobody has taken yet count as one.

    The store publishes its own: ADDED when jobs become runnable (added, promoted, retried, released, reclaimed,
    rerun), DELAYED when a job is put off, FINISHED when jobs settle, REVOKED when a running job is taken from
    its worker, CHANGED when a queue is paused, resumed or emptied, SCHEDULED when a schedule of the queue is made,
    changed or resumed. They are sent after the commit.
    """

    def subscribe(self, *queue_names: str) -> AbstractAsyncContextManager[AsyncIterator[Notification]]:
        """Listen to these queues, or to all when none is named, for as long as the context is open.

        Whatever is published after the context was entered reaches the iterator, or an ANYTHING in its place.
        A slow reader loses no kind of hint, only repetitions.
        """
        ...

    async def publish(self, notification: Notification, /) -> None:
        """Tell every subscriber, in this process and others. Failing to is no error."""
        ...
