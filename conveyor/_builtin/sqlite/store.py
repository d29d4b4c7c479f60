"""The SQLite store put together, and how it is opened and closed."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.batch_parts import SqliteBatchParts
from conveyor._builtin.sqlite.batches import SqliteBatches
from conveyor._builtin.sqlite.buffers import SqliteBuffers
from conveyor._builtin.sqlite.checkpoints import Checkpointer
from conveyor._builtin.sqlite.connections import connect_reader, connect_writer
from conveyor._builtin.sqlite.events import SqliteEvents
from conveyor._builtin.sqlite.flows import SqliteFlows
from conveyor._builtin.sqlite.inspection import SqliteInspection
from conveyor._builtin.sqlite.jobs import SqliteJobs
from conveyor._builtin.sqlite.limits import SqliteLimits
from conveyor._builtin.sqlite.loop import EventLoop
from conveyor._builtin.sqlite.metrics import SqliteMetrics
from conveyor._builtin.sqlite.notifier import SqliteNotifier
from conveyor._builtin.sqlite.options import Synchronous, parse_url
from conveyor._builtin.sqlite.peers import Peers
from conveyor._builtin.sqlite.queues import SqliteQueues
from conveyor._builtin.sqlite.readers import Readers
from conveyor._builtin.sqlite.rows import to_micros
from conveyor._builtin.sqlite.schedules import SqliteSchedules
from conveyor._builtin.sqlite.schema import SqliteSchema, bring_up_to_date
from conveyor._builtin.sqlite.sessions import SqliteSessions
from conveyor._builtin.sqlite.thread_renewal import SqliteThreadRenewal
from conveyor._builtin.sqlite.transactions import SqliteTransactions
from conveyor._builtin.sqlite.watched_file import WatchedFile
from conveyor._builtin.sqlite.writer import Writer
from conveyor.contracts.capabilities import Capabilities, Durability, Guarantees
from conveyor.contracts.clock import Clock
from conveyor.contracts.runtime import Logger
from conveyor.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor._builtin.sqlite.options import SqliteOptions
    from conveyor.contracts.strategy import Injector

__all__ = ["SQLiteStore", "library_notes", "open_sqlite"]

_CAPABILITIES: Final = Capabilities(
    is_durable=True,
    is_shared=True,
    has_notifications=True,
    has_inspection=True,
    has_transactions=True,
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
_SURVIVES: Final = {Synchronous.FULL: Durability.POWER_LOSS, Synchronous.NORMAL: Durability.PROCESS_CRASH}


class SQLiteStore:
    """A store in one file, shared by the processes of one machine."""

    def __init__(self, options: SqliteOptions, clock: Clock, logger: Logger) -> None:
        survives = _SURVIVES[options.synchronous]
        loop = EventLoop()
        peers = Peers(options.path, lambda hints: loop.post(self.notifier.post, hints))
        file = WatchedFile(options.path)
        self._options = options
        self._writer = Writer(
            file,
            partial(connect_writer, options),
            prepare=lambda connection: bring_up_to_date(
                connection, to_micros(clock.now()), auto_migrate=options.auto_migrate
            ),
            clock=clock,
            loop=loop,
            peers=peers,
            checkpointer=Checkpointer(options.path),
            logger=logger,
        )
        self._readers = Readers(file, partial(connect_reader, options))
        self.name = f"sqlite:{options.path}"
        # What belongs to the store is put beside it.
        self.path = options.path
        self.capabilities = _CAPABILITIES
        self.guarantees = Guarantees(add=survives, settle=survives)
        self.transactions = SqliteTransactions(
            options, loop, self._writer, clock, file=file, on_commit=peers.note_own_commit
        )
        self.jobs = SqliteJobs(self._writer, self._readers, clock, self.transactions)
        self.sessions = SqliteSessions(self._writer, self._readers, partial(SqliteThreadRenewal, options, file, clock))
        self.queues = SqliteQueues(self._writer, self._readers)
        self.schedules = SqliteSchedules(self._writer, self._readers, clock)
        self.schema = SqliteSchema(self._writer)
        self.notifier = SqliteNotifier(self._writer, peers)
        self.flows = SqliteFlows(self._writer, self._readers, self.transactions)
        self.buffers = SqliteBuffers(self._writer, self._readers, self.transactions)
        self.batches = SqliteBatches(self._writer, self._readers)
        self.batch_parts = SqliteBatchParts(self._writer, self._readers)
        self.inspection = SqliteInspection(self._writer, self._readers, clock)
        self.limits = SqliteLimits(self._writer, self._readers, clock)
        self.metrics = SqliteMetrics(self._writer, self._readers, clock)
        self.events = SqliteEvents(self._writer, self._readers)

    def notes(self) -> Sequence[str]:
        """Return which SQLite this is, and what to know of it."""
        return library_notes(sqlite3.sqlite_version_info)

    async def open(self) -> None:
        """Connect, and bring the schema up to date or check that it is."""
        await self._writer.open(self.notifier.post)
        if self._options.auto_migrate:
            await self.schema.migrate()
            return
        status = await self.schema.get_status()
        if status.found != status.wanted or status.pending:
            raise SchemaError(found=status.found, wanted=status.wanted)

    async def close(self) -> None:
        """Finish what is queued and close everything."""
        self.notifier.close()
        self._readers.close()
        await self.transactions.close()
        await self._writer.close()


def library_notes(version: tuple[int, int, int]) -> Sequence[str]:
    """Return which SQLite this is, and whether it can damage a file when two connections checkpoint at once."""
    name = f"SQLite {'.'.join(map(str, version))}"
    if version >= (3, 51, 3) or version in ((3, 50, 7), (3, 44, 6)):
        return (f"{name}.",)
    hazard = "has the WAL-reset bug (mended in 3.51.3, 3.50.7 and 3.44.6)"
    return (f"{name} {hazard}: conveyor lets one process at a time take checkpoints; see that others do, too.",)


@asynccontextmanager
async def open_sqlite(url: str, injector: Injector) -> AsyncIterator[SQLiteStore]:
    """Open the store of a URL such as ``sqlite:///jobs.db``, and close it on leaving.

    Raises:
        ConfigurationError: the URL does not fit.
        StoreError: the file cannot be used.
        StoreUnavailableError: it cannot be used now.
        SchemaError: the schema does not fit and was not to be migrated.
    """
    options = parse_url(url)
    store = SQLiteStore(options, injector.get(Clock), injector.get(Logger))
    try:
        await store.open()
        yield store
    finally:
        await store.close()
