"""The database as the facets use it: operations, each one crossing of the bridge, one connection and one time limit."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncpg

from conveyor.errors import ConveyorError, StoreUnavailableError
from conveyor_plugin_postgres.array_types import know_arrays
from conveyor_plugin_postgres.driver_errors import DRIVER_ERRORS, store_error
from conveyor_plugin_postgres.limits import GRACE_SECONDS, connection_options, run_limited
from conveyor_plugin_postgres.options import ClockKind
from conveyor_plugin_postgres.part import Part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from datetime import datetime

    from conveyor.contracts.clock import Clock
    from conveyor.model.events import Notification
    from conveyor_plugin_postgres.bridge import Bridge
    from conveyor_plugin_postgres.options import PostgresOptions
    from conveyor_plugin_postgres.statements import Statements

__all__ = ["Database", "connect"]

T = TypeVar("T")

# What the server refused was undone, and what an operation refused was rolled back, both by words with the server.
_LEAVING_IT_CLEAN: Final = (asyncpg.PostgresError, ConveyorError)
# An operation of several statements.
STATEMENTS_AT_MOST: Final = 3


class Database:
    """A pool of connections, and how operations are run on them."""

    def __init__(
        self,
        options: PostgresOptions,
        statements: Statements,
        bridge: Bridge,
        clock: Clock,
        post: Callable[[Sequence[Notification]], None],
    ) -> None:
        self.options = options
        self.statements = statements
        self.bridge = bridge
        self._clock = clock
        self._post = post
        self._pool: Any = None
        # Of the pool, and ready for whoever is next: to lend and to take back costs it more than a small operation.
        self._idle: list[Any] = []
        self._waiting = 0
        timeout = options.timeout.total_seconds()
        self._longest_seconds = options.connect_timeout.total_seconds() + STATEMENTS_AT_MOST * (timeout + GRACE_SECONDS)

    async def open(self) -> None:
        """Connect."""
        await self.bridge.call(self._open)

    async def close(self) -> None:
        """Give the connections back; those that still work are cut off after a while."""
        await self.bridge.call(self._close)

    async def read(self, work: Callable[..., Coroutine[Any, Any, T]], /, *args: object) -> T:
        """Run an operation of one statement, or of several that need not agree, outside of a transaction."""
        return await self.bridge.call(partial(self._run, work, args))

    async def write_one(self, work: Callable[..., Coroutine[Any, Any, T]], /, *args: object) -> T:
        """Run an operation that writes in one statement, which is its own transaction."""
        value, hints = await self.bridge.call(partial(self._run_hinting, work, args))
        if hints:
            self._post(hints)
        return value

    async def write(self, work: Callable[..., Coroutine[Any, Any, T]], /, *args: object) -> T:
        """Run an operation in a transaction."""
        return await self.write_one(partial(_in_transaction, work), *args)

    def part(self, connection: object) -> Part:
        """Return an operation's view of a connection."""
        return Part(connection, self.statements, self.moment())

    def moment(self) -> datetime | None:
        """Return the time, where it is not the database's own."""
        return self._clock.now() if self.options.clock is ClockKind.APP else None

    def post(self, hints: Sequence[Notification]) -> None:
        """Publish hints, after a commit."""
        self._post(hints)

    async def _open(self) -> None:
        options = self.options
        try:
            async with asyncio.timeout(options.connect_timeout.total_seconds()):
                self._pool = await asyncpg.create_pool(
                    options.dsn,
                    min_size=0,
                    max_size=options.pool_size,
                    init=know_arrays,
                    reset=_keep,
                    max_inactive_connection_lifetime=300.0,
                    **connection_options(options),
                )
        except DRIVER_ERRORS as exc:
            raise store_error(exc, options.shown) from exc

    async def _close(self) -> None:
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(self.options.connect_timeout.total_seconds()):
                while self._idle:
                    await self.release(self._idle.pop())
                await self._pool.close()
        except DRIVER_ERRORS:
            self._pool.terminate()

    async def _run(self, work: Callable[..., Coroutine[Any, Any, T]], args: tuple[object, ...]) -> T:
        return (await self._run_hinting(work, args))[0]

    async def _run_hinting(
        self, work: Callable[..., Coroutine[Any, Any, T]], args: tuple[object, ...]
    ) -> tuple[T, Sequence[Notification]]:
        if self._pool is None:
            raise StoreUnavailableError(f"{self.options.shown}: the store is not open")
        try:
            async with asyncio.timeout(self._longest_seconds), self._lent() as connection:
                part = self.part(connection)
                value = await run_limited(self.options, work, part, *args)
                return value, tuple(part.hints)
        except DRIVER_ERRORS as exc:
            raise store_error(exc, self.options.shown) from exc

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[Any]:
        connection = await self.acquire()
        try:
            yield connection
        except BaseException as exc:
            if not isinstance(exc, _LEAVING_IT_CLEAN):
                # Nobody knows what it is in the middle of: the next one must not get it.
                connection.terminate()
            await self._pool.release(connection)
            raise
        await self.give_back(connection)

    async def acquire(self) -> Any:
        """On the asyncio side, take a connection, to be given to `release`."""
        while self._idle:
            connection = self._idle.pop()
            if _is_usable(connection):
                return connection
            await self._pool.release(connection)
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=self.options.connect_timeout.total_seconds())
        finally:
            self._waiting -= 1

    async def give_back(self, connection: Any) -> None:
        """On the asyncio side, give a connection back that is in the middle of nothing, for whoever is next."""
        if self._waiting:
            await self._pool.release(connection)
        else:
            self._idle.append(connection)

    async def release(self, connection: Any) -> None:
        """On the asyncio side, give a connection back; it is closed where it is in the middle of something."""
        try:
            if connection.is_in_transaction():
                connection.terminate()
        except asyncpg.InterfaceError:
            return  # the pool has taken back what was terminated
        await self._pool.release(connection, timeout=GRACE_SECONDS)


async def connect(options: PostgresOptions) -> Any:
    """Make a connection apart from the pool, as the pool makes its own."""
    seconds: Any = options.connect_timeout.total_seconds()
    return await asyncpg.connect(options.dsn, timeout=seconds, **connection_options(options))


def _is_usable(connection: Any) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False  # it was lost, and the pool has taken it back


async def _in_transaction(work: Callable[..., Coroutine[Any, Any, T]], part: Part, *args: object) -> T:
    if part.connection.is_in_transaction():
        return await work(part, *args)  # behind a pooler each operation has one
    async with part.connection.transaction():
        return await work(part, *args)


async def _keep(_: object) -> None:
    """Leave a connection as it is: operations change no settings, and end their transactions."""
