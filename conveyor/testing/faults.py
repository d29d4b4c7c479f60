"""A store that fails now and then: wraps an open store, and spoils the calls that a plan picks.

>>> from conveyor.testing.faults import FaultKind, at_call
>>> plan = at_call(3, FaultKind.LOSE_ANSWER)
"""

from __future__ import annotations

import inspect
import random
from collections import Counter
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self, cast

import anyio

from conveyor.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from conveyor.contracts.capabilities import Capabilities, Guarantees
    from conveyor.contracts.store import (
        InspectionStore,
        JobStore,
        Notifier,
        QueueStore,
        SchemaStore,
        SessionStore,
        Store,
        TransactionStore,
    )
    from conveyor.model.events import Notification

__all__ = ["FaultKind", "FaultPlan", "FaultScript", "FaultyStore", "StoreCall", "at_call", "at_random"]

DELAY_SECONDS: Final = 0.02


class FaultKind(StrEnum):
    """What happens to a call that is spoiled. DROP loses a notification and leaves every other call alone; a
    notification is lost by anything but DELAY.
    """

    FAIL_BEFORE = "fail_before"
    LOSE_ANSWER = "lose_answer"
    DELAY = "delay"
    DROP = "drop"


class StoreCall(NamedTuple):
    """One call of a store: its number from 1 on, and what is called. ``notifier.deliver`` is one hint on its way."""

    number: int
    facet: str
    verb: str


class FaultPlan(Protocol):
    """Says what happens to each call."""

    def __call__(self, call: StoreCall, /) -> FaultKind | None:
        """Return how the call is spoiled; None: not at all."""
        ...


def at_call(number: int, kind: FaultKind) -> FaultPlan:
    """Return a plan that spoils exactly one call, by its number."""
    return lambda call: kind if call.number == number else None


def at_random(seed: int, *, rate: float = 0.1, kinds: Sequence[FaultKind] = tuple(FaultKind)) -> FaultPlan:
    """Return a plan that spoils calls at this rate; the same calls in the same order get the same from a seed."""
    draw = random.Random(seed)  # noqa: S311 - the same faults again, no secret
    return lambda _: draw.choice(kinds) if draw.random() < rate else None


class FaultScript:
    """A plan that a test writes while it runs: ``script.spoil("fetch_jobs", 3)`` spoils the next three."""

    def __init__(self) -> None:
        self._spoiled: dict[str, tuple[int, FaultKind]] = {}

    def __call__(self, call: StoreCall, /) -> FaultKind | None:
        """Spoil what was asked for, one time less from now on."""
        count, kind = self._spoiled.get(call.verb, (0, FaultKind.FAIL_BEFORE))
        if not count:
            return None
        self._spoiled[call.verb] = (count - 1, kind)
        return kind

    def spoil(self, verb: str, count: int, kind: FaultKind = FaultKind.FAIL_BEFORE) -> None:
        """Spoil the next calls of a verb; 0 spoils none any more."""
        self._spoiled[verb] = (count, kind)


class FaultyStore:
    """An open store, seen through a line that fails as planned. It stays the caller's to close.

    FAIL_BEFORE and LOSE_ANSWER raise StoreUnavailableError: the first before the command takes effect, the second
    after. Attributes: `store` is the whole store within, `calls` counts the calls by verb, `count` all of them.
    """

    def __init__(self, store: Store, plan: FaultPlan = lambda _: None) -> None:
        """Wrap a store; without a plan nothing fails, and calls are only counted."""
        self.store: Store = store
        self.calls: Counter[str] = Counter()
        self._plan = plan
        # Each facet is a proxy whose methods are those of the facet within, so it keeps the same contract.
        self.jobs: JobStore = cast("JobStore", _FaultyFacet(self, "jobs", store.jobs))
        self.sessions: SessionStore = cast("SessionStore", _FaultyFacet(self, "sessions", store.sessions))
        self.queues: QueueStore = cast("QueueStore", _FaultyFacet(self, "queues", store.queues))
        self.schema: SchemaStore = cast("SchemaStore", _FaultyFacet(self, "schema", store.schema))
        self.notifier: Notifier | None = None if store.notifier is None else _FaultyNotifier(self, store.notifier)
        # Not spoiled: a transaction whose beginning is not answered would be nobody's to end.
        self.transactions: TransactionStore | None = store.transactions
        self.inspection: InspectionStore | None = None
        if store.inspection is not None:
            self.inspection = cast("InspectionStore", _FaultyFacet(self, "inspection", store.inspection))

    @property
    def name(self) -> str:
        """What the store within is called."""
        return self.store.name

    @property
    def capabilities(self) -> Capabilities:
        """What the store within can do."""
        return self.store.capabilities

    @property
    def guarantees(self) -> Guarantees:
        """What the store within promises."""
        return self.store.guarantees

    @property
    def count(self) -> int:
        """How many calls there were so far."""
        return self.calls.total()

    def notes(self) -> Sequence[str]:
        """Return what the store within says to its operator."""
        return self.store.notes()

    def decide(self, facet: str, verb: str) -> FaultKind | None:
        """Count a call, and ask the plan what happens to it."""
        self.calls[verb] += 1
        return self._plan(StoreCall(self.count, facet, verb))


class _FaultyFacet:
    """One facet, each of whose calls may be spoiled."""

    def __init__(self, faulty: FaultyStore, facet: str, whole: object) -> None:
        self._faulty = faulty
        self._facet = facet
        self._whole = whole

    def __getattr__(self, verb: str) -> Any:
        function: Callable[..., Awaitable[Any]] = getattr(self._whole, verb)
        if not inspect.iscoroutinefunction(function):
            return function  # what is made without asking the store, such as the way of the renewal thread

        async def call(*args: Any, **kwargs: Any) -> Any:
            match self._faulty.decide(self._facet, verb):
                case FaultKind.FAIL_BEFORE:
                    raise StoreUnavailableError(f"{verb} was spoiled before it took effect")
                case FaultKind.LOSE_ANSWER:
                    await function(*args, **kwargs)
                    raise StoreUnavailableError(f"the answer of {verb} was lost")
                case FaultKind.DELAY:
                    await anyio.sleep(DELAY_SECONDS)
                case FaultKind.DROP | None:
                    pass
            return await function(*args, **kwargs)

        return call


class _FaultyNotifier:
    """Wake-ups that may get lost on their way; that is no error, for nobody may rely on them."""

    def __init__(self, faulty: FaultyStore, whole: Notifier) -> None:
        self._faulty = faulty
        self._whole = whole

    @asynccontextmanager
    async def subscribe(self, *queue_names: str) -> AsyncIterator[AsyncIterator[Notification]]:
        """Listen, to what is left."""
        async with self._whole.subscribe(*queue_names) as notifications:
            yield _FaultyHints(self._faulty, notifications)

    async def publish(self, notification: Notification, /) -> None:
        """Publish, or not."""
        if self._faulty.decide("notifier", "publish") in (None, FaultKind.DELAY):
            await self._whole.publish(notification)


class _FaultyHints:
    """The notifications that are not lost."""

    def __init__(self, faulty: FaultyStore, whole: AsyncIterator[Notification]) -> None:
        self._faulty = faulty
        self._whole = whole

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Notification:
        """Return the next that arrives."""
        while True:
            notification = await anext(self._whole)
            if self._faulty.decide("notifier", "deliver") in (None, FaultKind.DELAY):
                return notification
