"""The event bus: one subscription to the store's hints, handed on to the loops of this program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from conveyor.model.events import Notification, NotificationKind

if TYPE_CHECKING:
    from collections.abc import Callable

    import anyio.abc

    from conveyor.contracts.store.notifier import Notifier

__all__ = ["EventBus", "Listener"]


class Listener(Protocol):
    """Hears hints. It must return at once and raise nothing."""

    def __call__(self, notification: Notification, /) -> None:
        """Hear one."""
        ...


class EventBus:
    """Listens for the whole app. Without a notifier it stays silent, and loops fall back to polling."""

    def __init__(self, notifier: Notifier | None) -> None:
        """Bind to the store's notifier."""
        self._notifier = notifier
        self._listeners: list[Listener] = []

    def add_listener(self, listener: Listener) -> Callable[[], None]:
        """Hand hints on to this listener too; return what stops that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Listen for ever; started once hints can no longer be missed."""
        if self._notifier is None:
            task_status.started()
            return
        async with self._notifier.subscribe() as notifications:
            task_status.started()
            # What happened before is unknown to loops that begin now.
            self._hand_on(Notification(NotificationKind.ANYTHING))
            async for notification in notifications:
                self._hand_on(notification)

    def _hand_on(self, notification: Notification) -> None:
        for listener in tuple(self._listeners):
            listener(notification)
