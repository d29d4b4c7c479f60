"""A mailbox of notifications: what one subscriber has not read yet, equal ones counted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from conveyor.model.events import Notification, NotificationKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

__all__ = ["LARGEST_MAILBOX", "Mailbox"]

LARGEST_MAILBOX: Final = 1000
_ANYTHING: Final = Notification(NotificationKind.ANYTHING)


class Mailbox:
    """The asynchronous iterator of a subscription, filled by `post`.

    Equal notifications that wait to be read count as one. Beyond `limit` distinct ones, a single ANYTHING
    takes their place. Everything is called on the event loop's thread; make it there, too.
    """

    def __init__(self, queue_names: Iterable[str] = (), *, limit: int = LARGEST_MAILBOX) -> None:
        self._queue_names = frozenset(queue_names)
        self._limit = limit
        # A dict as a set that keeps the order of arrival.
        self._pending: dict[Notification, None] = {}
        self._arrived = anyio.Event()
        self._is_closed = False

    def post(self, notification: Notification) -> None:
        """Deliver a notification, unless it is about a queue that this mailbox does not listen to."""
        if self._is_closed or not self._listens_to(notification.queue_name):
            return
        if notification not in self._pending and len(self._pending) >= self._limit:
            self._pending.clear()
            notification = _ANYTHING
        self._pending[notification] = None
        self._arrived.set()

    def close(self) -> None:
        """Take nothing more; the iterator ends once what is pending was read."""
        self._is_closed = True
        self._arrived.set()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Notification:
        """Return the oldest pending notification, or wait for one. A cancelled wait loses nothing."""
        while not self._pending:
            if self._is_closed:
                raise StopAsyncIteration
            await self._arrived.wait()
        notification = next(iter(self._pending))
        del self._pending[notification]
        if not self._pending and not self._is_closed:
            self._arrived = anyio.Event()
        return notification

    def _listens_to(self, queue_name: str) -> bool:
        return not self._queue_names or not queue_name or queue_name in self._queue_names
