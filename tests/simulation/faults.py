"""One process's way to the store: slow, flaky, cut off, or gone; and its ear for notifications."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from conveyor.errors import StoreError, StoreUnavailableError
from conveyor.model.events import Notification, NotificationKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import timedelta
    from random import Random

    from tests.simulation.history import History
    from tests.simulation.plan import Plan
    from tests.simulation.threads import VirtualWatchdog

__all__ = ["Line", "ThreadWay"]


class Line:
    """A `Store` as one process sees it over a bad line."""

    def __init__(
        self, name: str, facets: dict[str, Any], plan: Plan, draw: Random, *, store: Any, history: History
    ) -> None:
        """Lay a line to a store's facets, and to the store's own ear and eyes."""
        self.name = name
        self.watchdog: VirtualWatchdog | None = None
        self._history = history
        self.plan = plan
        self.draw = draw
        self.is_healed = False
        self.is_dead = False
        self.connected = anyio.Event()
        self.connected.set()
        self.is_one_way = False
        self.on_fetched: Callable[[], None] | None = None
        # Says whether to cancel the call: its caller was cancelled just now.
        self.on_called: Callable[[str], bool] | None = None
        self.notifier = _Ear(self, store.notifier)
        self.inspection = store.inspection
        self.capabilities = store.capabilities
        self.guarantees = store.guarantees
        # Optional facets that no client here uses: a worker goes on without them.
        self.metrics = self.events = None
        self.buffers = self.batches = self.batch_parts = None
        for facet in {"schedules", "flows", "limits"} - facets.keys():
            setattr(self, facet, None)
        self._facets = {facet: _Facet(self, inner) for facet, inner in facets.items()}

    def __getattr__(self, name: str) -> Any:
        # A store is asked whether it has more than its facets, such as a file that it is kept in.
        if name not in self._facets:
            raise AttributeError(name)
        return self._facets[name]

    def cut_off(self, *, is_one_way: bool = False) -> None:
        """Let nothing through until `connect`, or (one way) calls but no answers."""
        self.connected = anyio.Event()
        self.is_one_way = is_one_way

    def connect(self) -> None:
        """Let calls through again."""
        self.connected.set()

    async def call(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call through, maybe late, maybe in vain, maybe without hearing the answer."""
        if self.on_called is not None and self.on_called(function.__name__):
            if self.draw.random() < 0.5:
                await function(*args, **kwargs)
            await anyio.lowlevel.checkpoint()
        if self.is_healed and self.connected.is_set() and not self.is_dead:
            return await function(*args, **kwargs)
        await self._travel()
        self._raise_if_dead()
        is_spoiled = not self.is_healed and self.draw.random() < self.plan.flakiness
        is_late = is_spoiled and self.draw.random() < 0.5
        if is_spoiled and not is_late:
            self._history.note_spoiled(self.name)
            raise StoreUnavailableError("spoiled before it took effect")
        answer = await function(*args, **kwargs)
        if self.on_fetched is not None and _brings_jobs(function.__name__, answer):
            on_fetched, self.on_fetched = self.on_fetched, None
            on_fetched()
        await self._travel(is_answer=True)
        if is_late:
            self._history.note_spoiled(self.name)
            raise StoreUnavailableError("the answer was lost")
        return answer

    async def _travel(self, *, is_answer: bool = False) -> None:
        self._raise_if_dead()
        slowness = 0 if self.is_healed else self.plan.slowness
        if slowness and (seconds := self.draw.choice((0, 0, slowness / 10, slowness)) * self.draw.random()):
            await anyio.sleep(seconds)
        if not self.connected.is_set() and (is_answer or not self.is_one_way):
            if self.draw.random() < 0.3:
                await anyio.sleep(self.draw.uniform(0.01, 0.3))
                self._raise_if_dead()
                raise StoreUnavailableError("cut off")
            await self.connected.wait()

    def _raise_if_dead(self) -> None:
        if self.is_dead:
            raise StoreError("this process is dead: nothing of it reaches the store")


def _brings_jobs(name: str, answer: Any) -> bool:
    return bool((name == "fetch_jobs" and answer) or (name == "settle_jobs" and answer.jobs))


class _Facet:
    """One facet over the line."""

    def __init__(self, line: Line, inner: Any) -> None:
        self._line = line
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._inner, name)
        if name == "thread_renewal":
            return lambda: ThreadWay(self._line, function())

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._line.call(function, args, kwargs)

        self.__dict__[name] = call
        return call


class ThreadWay:
    """A thread's own way to the store, over the same line."""

    def __init__(self, line: Line, inner: Any) -> None:
        self.line = line
        self._inner = inner

    def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:
        if self.line.is_dead or not self.line.connected.is_set():
            raise StoreUnavailableError("cut off")
        return bool(self._inner.renew(session_id, lock_duration))

    def close(self) -> None:
        self._inner.close()


class _Ear:
    """Notifications over the line: some are lost, some come twice."""

    def __init__(self, line: Line, inner: Any) -> None:
        self._line = line
        self._inner = inner

    @asynccontextmanager
    async def subscribe(self, *queue_names: str) -> AsyncIterator[AsyncIterator[Notification]]:
        async with self._inner.subscribe(*queue_names) as notifications:
            yield self._heard(notifications)

    async def publish(self, notification: Notification, /) -> None:
        await self._inner.publish(notification)

    async def _heard(self, notifications: AsyncIterator[Notification]) -> AsyncIterator[Notification]:
        line = self._line
        async for notification in notifications:
            deafness = 0 if line.is_healed else line.plan.deafness
            if not line.connected.is_set() or (deafness and line.draw.random() < deafness):
                continue
            yield notification
            if line.plan.echoes and not line.is_healed and line.draw.random() < line.plan.echoes:
                yield notification
                yield Notification(NotificationKind.ANYTHING)
