"""Wake-ups over a faulty line: lost, doubled or late, which is no error, for nobody may rely on them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

from conveyor.testing.faults.plans import FaultKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.store import Notifier
    from conveyor.model.events import Notification
    from conveyor.testing.faults.line import FaultyLine

__all__ = ["FaultyNotifier"]


def _copies(kind: FaultKind | None) -> int:
    """Return how often a notification arrives."""
    match kind:
        case FaultKind.DOUBLE:
            return 2
        case FaultKind.DELAY | None:
            return 1
        case FaultKind.FAIL_BEFORE | FaultKind.LOSE_ANSWER | FaultKind.DROP:
            return 0


class FaultyNotifier:
    """A `Notifier` whose hints may get lost on their way, or come twice."""

    def __init__(self, line: FaultyLine, whole: Notifier) -> None:
        self._line = line
        self._whole = whole

    @asynccontextmanager
    async def subscribe(self, *queue_names: str) -> AsyncIterator[AsyncIterator[Notification]]:
        """Listen, to what arrives."""
        async with self._whole.subscribe(*queue_names) as notifications:
            yield _FaultyHints(self._line, notifications)

    async def publish(self, notification: Notification, /) -> None:
        """Publish: once, twice, or not."""
        for _ in range(_copies(self._line.decide("notifier", "publish"))):
            await self._whole.publish(notification)


class _FaultyHints:
    """The notifications that arrive."""

    def __init__(self, line: FaultyLine, whole: AsyncIterator[Notification]) -> None:
        self._line = line
        self._whole = whole
        self._again: Notification | None = None

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Notification:
        """Return the next that arrives."""
        if self._again is not None:
            notification, self._again = self._again, None
            return notification
        while True:
            notification = await anext(self._whole)
            copies = _copies(self._line.decide("notifier", "deliver"))
            if copies:
                self._again = notification if copies > 1 else None
                return notification
