"""The PostgreSQL store put together, and how it is opened and closed."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from attrs import evolve

from conveyor.contracts.capabilities import Capabilities, Durability, Guarantees
from conveyor.contracts.clock import Clock
from conveyor.errors import SchemaError
from conveyor_plugin_postgres.announcer import Announcer
from conveyor_plugin_postgres.batch_parts import PostgresBatchParts
from conveyor_plugin_postgres.batches import PostgresBatches
from conveyor_plugin_postgres.bridge import open_bridge
from conveyor_plugin_postgres.buffers import PostgresBuffers
from conveyor_plugin_postgres.database import Database
from conveyor_plugin_postgres.events import PostgresEvents
from conveyor_plugin_postgres.flows import PostgresFlows
from conveyor_plugin_postgres.inspection import PostgresInspection
from conveyor_plugin_postgres.jobs import PostgresJobs
from conveyor_plugin_postgres.low_water import LowWater
from conveyor_plugin_postgres.metrics import PostgresMetrics
from conveyor_plugin_postgres.notifier import PostgresNotifier
from conveyor_plugin_postgres.options import parse_url
from conveyor_plugin_postgres.queue_limits import PostgresLimits
from conveyor_plugin_postgres.queues import PostgresQueues
from conveyor_plugin_postgres.schedules import PostgresSchedules
from conveyor_plugin_postgres.schema import PostgresSchema
from conveyor_plugin_postgres.sessions import PostgresSessions
from conveyor_plugin_postgres.statements import Statements
from conveyor_plugin_postgres.thread_renewal import PostgresThreadRenewal
from conveyor_plugin_postgres.transactions import PostgresTransactions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor.contracts.strategy import Injector
    from conveyor_plugin_postgres.bridge import Bridge
    from conveyor_plugin_postgres.options import PostgresOptions

__all__ = ["PostgresStore", "open_postgres"]

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
_CLOSE_SECONDS: Final = 2.0


class PostgresStore:
    """A store in a schema of a PostgreSQL database, shared by the processes of many machines."""

    def __init__(self, options: PostgresOptions, bridge: Bridge, clock: Clock) -> None:
        statements = Statements(options.schema)
        self._options = options
        low_water = LowWater(options.full_fetch_interval.total_seconds())
        self._announcer = announcer = Announcer(is_sending=options.is_notifying)
        self._hints = hints = PostgresNotifier(announcer, low_water.hear)
        self._database = database = Database(options, statements, bridge, clock, hints.post)
        hints.use(database)
        self.notifier = hints if options.is_listening else None
        self.name = options.shown
        self.capabilities = evolve(_CAPABILITIES, has_notifications=options.is_listening)
        self.guarantees = Guarantees(add=Durability.POWER_LOSS, settle=Durability.POWER_LOSS)
        self.transactions = PostgresTransactions(database)
        self.jobs = PostgresJobs(database, self.transactions, low_water)
        self.sessions = PostgresSessions(database, partial(PostgresThreadRenewal, options, statements, clock))
        self.queues = PostgresQueues(database)
        self.schedules = PostgresSchedules(database)
        self.schema = PostgresSchema(database)
        self.flows = PostgresFlows(database, self.transactions)
        self.inspection = PostgresInspection(database)
        self.limits = PostgresLimits(database)
        self.metrics = PostgresMetrics(database)
        self.events = PostgresEvents(database)
        self.buffers = PostgresBuffers(database, self.transactions)
        self.batches = PostgresBatches(database)
        self.batch_parts = PostgresBatchParts(database)

    def notes(self) -> Sequence[str]:
        """Return what to know of it."""
        tested = "Tested with PostgreSQL 18 and 15."
        return (tested,) if self._options.is_listening else (tested, "It listens to nobody: workers poll.")

    async def open(self) -> None:
        """Connect, and bring the schema up to date or check that it is."""
        await self._database.open()
        if self._options.auto_migrate:
            await self.schema.migrate()
            return
        status = await self.schema.get_status()
        if status.found != status.wanted or status.pending:
            raise SchemaError(found=status.found, wanted=status.wanted)

    async def send_for_ever(self) -> None:
        """Tell other processes what happens here."""
        await self._announcer.send_for_ever(self._database)

    async def listen_for_ever(self) -> None:
        """Keep the connection that listens."""
        await self._hints.listen_for_ever()

    async def close(self) -> None:
        """Send the last hints and close everything."""
        self._hints.close()
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._announcer.send_rest(self._database)
        with anyio.CancelScope(shield=True):
            await self._hints.stop_listening()
            await self._database.close()


@asynccontextmanager
async def open_postgres(url: str, injector: Injector) -> AsyncIterator[PostgresStore]:
    """Open the store of a URL such as ``postgresql://user@host/database``, and close it on leaving.

    Raises:
        ConfigurationError: the URL does not fit.
        StoreError: the database cannot be used.
        StoreUnavailableError: it cannot be reached now.
        SchemaError: the schema does not fit and was not to be migrated.
    """
    options = parse_url(url)
    failure: BaseException | None = None
    async with open_bridge(options.bridge) as bridge:
        try:
            async with _running(PostgresStore(options, bridge, injector.get(Clock))) as store:
                yield store
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as exc:  # noqa: BLE001 - raised below: here the loop's task group would wrap it
            failure = exc
    if failure is not None:
        raise failure


@asynccontextmanager
async def _running(store: PostgresStore) -> AsyncIterator[PostgresStore]:
    failure: BaseException | None = None
    try:
        await store.open()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.send_for_ever, name="notifications out")
            tasks.start_soon(store.listen_for_ever, name="notifications in")
            try:
                yield store
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as exc:  # noqa: BLE001 - raised below: here the task group would wrap it
                failure = exc
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
    finally:
        await store.close()
