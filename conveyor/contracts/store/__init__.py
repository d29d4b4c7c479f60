"""The store: what persists. Facets hang on it as attributes; a facet it lacks is None."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from conveyor.contracts.store.batch_parts import BatchPartStore
from conveyor.contracts.store.batches import BatchStore
from conveyor.contracts.store.buffers import BufferStore
from conveyor.contracts.store.events import EventStore
from conveyor.contracts.store.flows import FlowStore
from conveyor.contracts.store.inspection import InspectionStore
from conveyor.contracts.store.jobs import JobStore
from conveyor.contracts.store.limits import LimitStore
from conveyor.contracts.store.metrics import MetricsStore
from conveyor.contracts.store.notifier import Notifier
from conveyor.contracts.store.queues import QueueStore
from conveyor.contracts.store.schedules import ScheduleStore
from conveyor.contracts.store.schema import SchemaStore
from conveyor.contracts.store.sessions import SessionStore
from conveyor.contracts.store.transactions import OpenTransaction, TransactionConnection, TransactionStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.capabilities import Capabilities, Guarantees

__all__ = [
    "BatchPartStore",
    "BatchStore",
    "BufferStore",
    "EventStore",
    "FlowStore",
    "InspectionStore",
    "JobStore",
    "LimitStore",
    "MetricsStore",
    "Notifier",
    "OpenTransaction",
    "QueueStore",
    "ScheduleStore",
    "SchemaStore",
    "SessionStore",
    "Store",
    "TransactionConnection",
    "TransactionStore",
]


@runtime_checkable
class Store(Protocol):
    """A place where jobs are kept, open and ready.

    Every command is one atomic step and can be repeated after its answer was lost. A bulk command with the same
    ids, fetch number, token and outcome changes nothing more and answers the same; a single command on a state
    that it has left already is refused with the state it finds, which tells the caller that it took effect.
    Only lines of a job's log may be doubled by that.
    Time is the store's own clock. An operation that is cancelled either took effect or did not, and leaves the
    store usable. Driver errors come as StoreError. What passes by itself, or can be mended while the program waits
    (unreachable, busy, full, read-only, gone), comes as StoreUnavailableError: core tries again, for ever. What does
    not (damaged, another schema) comes as any other StoreError: it ends the worker that meets it. A store whose place
    may be taken by another, as that of a file may, acknowledges nothing that is not where its URL leads.
    """

    @property
    def name(self) -> str:
        """What it is called in messages, without secrets."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do beyond the required facets."""
        ...

    @property
    def guarantees(self) -> Guarantees:
        """What its acknowledgements survive."""
        ...

    def notes(self) -> Sequence[str]:
        """Return what its operator should know, one sentence each: library versions, known hazards."""
        ...

    @property
    def jobs(self) -> JobStore:
        """Jobs: add, fetch, settle, change, read."""
        ...

    @property
    def sessions(self) -> SessionStore:
        """Worker sessions."""
        ...

    @property
    def queues(self) -> QueueStore:
        """Whole queues: pause, count, list, clean."""
        ...

    @property
    def schema(self) -> SchemaStore:
        """The schema and its migrations."""
        ...

    @property
    def notifier(self) -> Notifier | None:
        """Wake-ups; None: core polls."""
        ...

    @property
    def inspection(self) -> InspectionStore | None:
        """Looking around for operators; None: those commands are refused."""
        ...

    @property
    def schedules(self) -> ScheduleStore | None:
        """Jobs that are added again and again; None: they are refused."""
        ...

    @property
    def limits(self) -> LimitStore | None:
        """Limits and groups of queues; None: they are refused."""
        ...

    @property
    def transactions(self) -> TransactionStore | None:
        """Transactions that runs write in; None: they are refused."""
        ...

    @property
    def flows(self) -> FlowStore | None:
        """Jobs that wait for others; None: they are refused."""
        ...

    @property
    def metrics(self) -> MetricsStore | None:
        """What is counted of runs; None: nothing is."""
        ...

    @property
    def events(self) -> EventStore | None:
        """A record of what happens, while somebody watches; None: nobody can."""
        ...

    @property
    def buffers(self) -> BufferStore | None:
        """Jobs that wait to be reduced; None: the default buffer storage is refused."""
        ...

    @property
    def batches(self) -> BatchStore | None:
        """Batch jobs; None: they are refused."""
        ...

    @property
    def batch_parts(self) -> BatchPartStore | None:
        """Batch jobs in parts that are worked on at the same time; None: strategies that want them are refused."""
        ...
