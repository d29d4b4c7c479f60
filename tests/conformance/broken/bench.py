"""Where a memory store is broken: one facet is replaced by one with a fault."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from conveyor._builtin.memory.batch_parts import MemoryBatchParts
from conveyor._builtin.memory.batches import MemoryBatches
from conveyor._builtin.memory.buffers import MemoryBuffers
from conveyor._builtin.memory.events import MemoryEvents
from conveyor._builtin.memory.flows import MemoryFlows
from conveyor._builtin.memory.inspection import MemoryInspection
from conveyor._builtin.memory.jobs import MemoryJobs
from conveyor._builtin.memory.limits import MemoryLimits
from conveyor._builtin.memory.metrics import MemoryMetrics
from conveyor._builtin.memory.notifier import MemoryNotifier
from conveyor._builtin.memory.queues import MemoryQueues
from conveyor._builtin.memory.schedules import MemorySchedules
from conveyor._builtin.memory.sessions import MemorySessions
from conveyor._builtin.memory.store import MemoryStore
from conveyor.model.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conveyor._builtin.memory.tables import Tables
    from conveyor.contracts.clock import Clock

__all__ = ["Fault", "muted", "open_broken", "with_its_own_token", "with_their_own_tokens"]

Fault: TypeAlias = type[
    MemoryBatches
    | MemoryBatchParts
    | MemoryBuffers
    | MemoryEvents
    | MemoryFlows
    | MemoryInspection
    | MemoryJobs
    | MemoryLimits
    | MemoryMetrics
    | MemoryQueues
    | MemorySchedules
    | MemorySessions
]

_FACETS: Final = {
    "batch_parts": MemoryBatchParts,
    "batches": MemoryBatches,
    "buffers": MemoryBuffers,
    "events": MemoryEvents,
    "flows": MemoryFlows,
    "inspection": MemoryInspection,
    "jobs": MemoryJobs,
    "limits": MemoryLimits,
    "metrics": MemoryMetrics,
    "queues": MemoryQueues,
    "schedules": MemorySchedules,
    "sessions": MemorySessions,
}


def open_broken(fault: Fault, clock: Clock) -> MemoryStore:
    """Return a memory store that is whole but for this facet."""
    store = MemoryStore(clock)
    tables = store.jobs._tables
    facet = fault(tables)
    (attribute,) = [name for name, kind in _FACETS.items() if isinstance(facet, kind)]
    setattr(store, attribute, facet)
    return store


@contextmanager
def muted(tables: Tables) -> Iterator[None]:
    """Let nobody hear what happens meanwhile."""
    notifier, tables.notifier = tables.notifier, MemoryNotifier()
    try:
        yield
    finally:
        tables.notifier = notifier


def with_its_own_token(tables: Tables, lock: Lock) -> Lock:
    """Return the lock that holds the job, whatever lock is shown."""
    record = tables.jobs.get(lock.job_id)
    if record is None or record.session is None or record.token is None:
        return lock
    return Lock(lock.job_id, record.token)


def with_their_own_tokens(tables: Tables, locks: Sequence[Lock]) -> list[Lock]:
    """Return the locks that hold the jobs, whatever locks are shown."""
    return [with_its_own_token(tables, lock) for lock in locks]
