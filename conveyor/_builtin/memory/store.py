"""The memory store put together: its facets over one set of tables, and the URL that opens it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

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
from conveyor._builtin.memory.schema import MemorySchema
from conveyor._builtin.memory.sessions import MemorySessions
from conveyor._builtin.memory.tables import Tables
from conveyor.contracts.capabilities import Capabilities, Durability, Guarantees
from conveyor.contracts.clock import Clock
from conveyor.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from conveyor.contracts.store import Store, TransactionStore
    from conveyor.contracts.strategy import Injector

__all__ = ["MemoryStore", "open_memory"]

CAPABILITIES: Final = Capabilities(
    is_durable=False,
    is_shared=False,
    has_notifications=True,
    has_inspection=True,
    has_transactions=False,
    has_schedules=True,
    has_deduplication=True,
    has_flows=True,
    has_limits=True,
    has_metrics=True,
    has_events=True,
    has_buffers=True,
    has_batches=True,
    has_batch_parts=True,
    has_error_groups=True,
)
GUARANTEES: Final = Guarantees(add=Durability.NOTHING, settle=Durability.NOTHING)


class MemoryStore:
    """A store in this process's memory, for tests, simulations and jobs that need not survive.

    Every command is atomic because none awaits anything between its first read and its last write:
    call it from one event loop only.
    """

    def __init__(self, clock: Clock) -> None:
        tables = Tables(clock, notifier := MemoryNotifier())
        self.name = "memory"
        self.capabilities = CAPABILITIES
        self.guarantees = GUARANTEES
        self.jobs = MemoryJobs(tables)
        self.sessions = MemorySessions(tables)
        self.queues = MemoryQueues(tables)
        self.schedules = MemorySchedules(tables)
        self.schema = MemorySchema()
        self.notifier = notifier
        self.inspection = MemoryInspection(tables)
        self.limits = MemoryLimits(tables)
        self.transactions: TransactionStore | None = None
        self.flows = MemoryFlows(tables)
        self.metrics = MemoryMetrics(tables)
        self.events = MemoryEvents(tables)
        self.buffers = MemoryBuffers(tables)
        self.batches = MemoryBatches(tables)
        self.batch_parts = MemoryBatchParts(tables)

    def notes(self) -> Sequence[str]:
        """Return that jobs end with the process."""
        return ("Jobs are kept in memory: they are gone when the process ends.",)


def open_memory(url: str, injector: Injector) -> AbstractAsyncContextManager[Store]:
    """Return a context manager that opens a new, empty store; closing it ends its subscriptions.

    Raises:
        ConfigurationError: the URL is more than ``memory://``, with or without ``auto_migrate``.
    """
    _check_url(url)
    return _opened(injector)


@asynccontextmanager
async def _opened(injector: Injector) -> AsyncIterator[Store]:
    store = MemoryStore(injector.get(Clock))
    try:
        yield store
    finally:
        store.notifier.close()


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "memory":
        raise ConfigurationError(f"the memory store's URL has the scheme 'memory', got {parts.scheme!r}")
    # The parts themselves are left out of the messages: somebody's password may be among them.
    for part, value in (("host", parts.netloc), ("path", parts.path), ("fragment", parts.fragment)):
        if value:
            raise ConfigurationError(f"the memory store's URL takes no {part}: write memory://")
    for option, value in parse_qsl(parts.query, keep_blank_values=True):
        _check_option(option, value)


def _check_option(option: str, value: str) -> None:
    if option != "auto_migrate":
        hint = did_you_mean(option, ["auto_migrate"])
        raise ConfigurationError(f"the memory store's URL has the unknown option {option!r}: {hint}")
    if value not in {"true", "false"}:
        raise ConfigurationError(f"auto_migrate in the memory store's URL must be true or false, got {value!r}")
