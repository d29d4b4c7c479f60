"""The store behind a faulty line, as those see it who use it."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from conveyor.testing.faults.line import FaultyLine
from conveyor.testing.faults.notifier import FaultyNotifier
from conveyor.testing.faults.transactions import FaultyTransactions, bare

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor.contracts.capabilities import Capabilities, Guarantees
    from conveyor.contracts.store import (
        BatchPartStore,
        BatchStore,
        BufferStore,
        EventStore,
        FlowStore,
        InspectionStore,
        JobStore,
        LimitStore,
        MetricsStore,
        Notifier,
        QueueStore,
        ScheduleStore,
        SchemaStore,
        SessionStore,
        Store,
        TransactionStore,
    )
    from conveyor.testing.faults.plans import FaultPlan

__all__ = ["FaultyStore"]


class FaultyStore:
    """An open store, seen through a line that fails as planned. It stays the caller's to close.

    Attributes: `store` is the whole store within, `calls` counts the calls by verb, `count` all of them.
    """

    def __init__(self, store: Store, plan: FaultPlan = lambda _: None) -> None:
        """Wrap a store; without a plan nothing fails, and calls are only counted."""
        self.store: Store = store
        line = FaultyLine(plan)
        self.calls: Counter[str] = line.calls
        # Each facet is a proxy whose methods are those of the facet within, so it keeps the same contract.
        self.jobs: JobStore = cast("JobStore", _FaultyFacet(line, "jobs", store.jobs))
        self.sessions: SessionStore = cast("SessionStore", _FaultyFacet(line, "sessions", store.sessions))
        self.queues: QueueStore = cast("QueueStore", _FaultyFacet(line, "queues", store.queues))
        self.schema: SchemaStore = cast("SchemaStore", _FaultyFacet(line, "schema", store.schema))
        self.notifier: Notifier | None = None if store.notifier is None else FaultyNotifier(line, store.notifier)
        self.transactions: TransactionStore | None = None
        if store.transactions is not None:
            self.transactions = FaultyTransactions(line, store.transactions)
        self.inspection: InspectionStore | None = cast(
            "InspectionStore | None", _optional(line, "inspection", store.inspection)
        )
        self.schedules: ScheduleStore | None = cast(
            "ScheduleStore | None", _optional(line, "schedules", store.schedules)
        )
        self.flows: FlowStore | None = cast("FlowStore | None", _optional(line, "flows", store.flows))
        self.buffers: BufferStore | None = cast("BufferStore | None", _optional(line, "buffers", store.buffers))
        self.batches: BatchStore | None = cast("BatchStore | None", _optional(line, "batches", store.batches))
        self.batch_parts: BatchPartStore | None = cast(
            "BatchPartStore | None", _optional(line, "batch_parts", store.batch_parts)
        )
        self.limits: LimitStore | None = cast("LimitStore | None", _optional(line, "limits", store.limits))
        self.metrics: MetricsStore | None = cast("MetricsStore | None", _optional(line, "metrics", store.metrics))
        self.events: EventStore | None = cast("EventStore | None", _optional(line, "events", store.events))

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


def _optional(line: FaultyLine, facet: str, whole: object | None) -> _FaultyFacet | None:
    return None if whole is None else _FaultyFacet(line, facet, whole)


class _FaultyFacet:
    """One facet, each of whose calls may be spoiled."""

    def __init__(self, line: FaultyLine, facet: str, whole: object) -> None:
        self._line = line
        self._facet = facet
        self._whole = whole

    def __getattr__(self, verb: str) -> Any:
        function: Callable[..., Awaitable[Any]] = getattr(self._whole, verb)
        if not inspect.iscoroutinefunction(function):
            return function  # what is made without asking the store, such as the way of the renewal thread

        async def call(*args: Any, **kwargs: Any) -> Any:
            # A connection of `transactions` is behind this line as well: the store within knows only its own.
            own = [bare(argument) for argument in args]
            return await self._line.call(self._facet, verb, partial(function, *own, **kwargs))

        return call
