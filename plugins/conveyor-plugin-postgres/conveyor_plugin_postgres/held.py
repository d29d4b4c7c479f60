"""A connection of the pool within a run's transaction, which ends in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import asyncpg

from conveyor.errors import LockLostError, StoreError, StoreUnavailableError
from conveyor_plugin_postgres.driver_errors import DRIVER_ERRORS, statement_error, store_error

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from conveyor.model.events import Notification
    from conveyor.model.locks import Lock
    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part

__all__ = ["SAVEPOINT", "Held"]

T = TypeVar("T")

# Before each statement of the user's, so that its failure leaves the transaction usable, as other databases do.
SAVEPOINT: Final = "conveyor_statement"


class Held:
    """A connection within a transaction, with a time limit. Its methods run on asyncio's side, one at a time."""

    def __init__(self, database: Database, lock: Lock, longest_seconds: float) -> None:
        self.database = database
        self.lock = lock
        self._longest_seconds = longest_seconds
        self._connection: Any = None
        self._turn = anyio.Lock()
        self._ends_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_late = False
        self._is_spoiled = False
        self._is_used = False
        self._reset = ""
        # Set with the begin, and anew before a statement after which something else was written.
        self._has_savepoint = False
        self._is_savepoint_old = False
        self.hints: dict[Notification, None] = {}

    async def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """From the program's side, do something with the connection once it is this caller's turn."""
        async with self._turn:
            return await self.database.bridge.call(work)

    async def call_for_user(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something that may be cancelled; after that nobody knows what took effect."""
        try:
            async with self._turn:
                return await self.database.bridge.call(work, shield=False)
        except anyio.get_cancelled_exc_class():
            self._is_spoiled = True
            raise

    async def begin(self) -> None:
        """Take a connection, begin, and look whether the run owns its job."""
        loop = asyncio.get_running_loop()
        self._ends_at = loop.time() + self._longest_seconds
        try:
            async with asyncio.timeout_at(self._ends_at):
                self._connection = await self.database.acquire()
                await self._begin()
        except DRIVER_ERRORS as exc:
            if self._connection is not None:
                # Its answer may come still, and begin a transaction for whoever is next.
                self._connection.terminate()
            await self.leave()
            raise store_error(exc, self.database.options.shown) from exc
        except LockLostError:
            await self.leave()
            raise
        # The server would wait for a program that hangs; so would everybody who waits for a row of it.
        self._timer = loop.call_at(self._ends_at, self._run_out)

    async def _begin(self) -> None:
        milliseconds = max(int(self._longest_seconds * 1000), 1)
        names = ("statement_timeout", "idle_in_transaction_session_timeout")
        settings = "; ".join(f"set local {name} = {milliseconds}" for name in names)
        self._reset = f"reset session authorization; {self._connection.get_reset_query()}"
        await self._connection.execute(f"begin; {settings}; savepoint {SAVEPOINT}")
        self._has_savepoint = True
        part = self.part()
        if not await part.fetchval("transactions/begin", self.lock.job_id, *self.lock.token):
            raise LockLostError(str(self.lock.token), job_id=self.lock.job_id, queue_name="")

    def part(self) -> Part:
        """Return the store's own view of the transaction."""
        part = self.database.part(self._connection)
        part.hints = self.hints
        return part

    async def user(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Run a statement of the user's; where it fails, what it did is undone, and the transaction goes on."""
        return await self._run_for_user(lambda: self._in_savepoint(work))

    async def user_savepoint(self, sql: str) -> str:
        """Run a statement of the user's about a savepoint, inside of no other: it would be gone with that one."""
        return await self._run_for_user(lambda: self._without_savepoint(sql))

    async def _run_for_user(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self.check()
        self._is_used = True
        try:
            return await work()
        except DRIVER_ERRORS as exc:
            self.check()
            raise statement_error(exc, self.database.options.shown) from exc

    async def _in_savepoint(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        connection = self._connection
        if not self._has_savepoint or self._is_savepoint_old:
            left = f"release savepoint {SAVEPOINT}; " if self._has_savepoint else ""
            self._has_savepoint = False
            await connection.execute(f"{left}savepoint {SAVEPOINT}")
            self._has_savepoint = True
        self._is_savepoint_old = True
        try:
            return await work(connection)
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            # The driver's own refusal of a value may come after it sent some of the rows.
            if not connection.is_closed():
                await connection.execute(f"rollback to savepoint {SAVEPOINT}")
                self._is_savepoint_old = False
            raise

    async def _without_savepoint(self, sql: str) -> str:
        if self._has_savepoint:
            self._has_savepoint = False
            await self._connection.execute(f"release savepoint {SAVEPOINT}")
        tag: str = await self._connection.execute(sql)
        return tag

    async def own(self, work: Callable[[Part], Coroutine[Any, Any, T]]) -> T:
        """Run something of the store's own inside."""
        self.check()
        self._is_savepoint_old = True
        try:
            return await work(self.part())
        except DRIVER_ERRORS as exc:
            # The server takes nothing more but a way back to a savepoint of the user's, which is older than ours.
            self._has_savepoint = False
            self.check()
            raise store_error(exc, self.database.options.shown) from exc

    async def commit(self) -> None:
        """Commit. Where the answer is lost, nobody here knows whether it took effect."""
        self.check()
        try:
            await self._connection.execute(self._ending("commit"))
        except DRIVER_ERRORS as exc:
            raise StoreUnavailableError(f"{self.database.options.shown}: the answer to a commit was lost") from exc
        finally:
            await self.leave()

    def check(self) -> None:
        """Raise unless the transaction is there and within its time."""
        if self._is_late:
            raise TimeoutError(f"the transaction took longer than {self._longest_seconds:g} s, and was rolled back")
        if self._is_spoiled:
            raise StoreError("a statement of the transaction was cancelled: it can only be rolled back")
        if self._connection is None:
            raise StoreError("the transaction is over")
        if self._connection.is_closed():
            raise StoreError("the database ended the transaction: its connection is gone")

    async def leave(self) -> None:
        """Roll back what is not committed, and give the connection back."""
        if self._timer is not None:
            self._timer.cancel()
        connection, self._connection = self._connection, None
        if connection is None:
            return
        is_clean = False
        try:
            if connection.is_in_transaction():
                await connection.execute(
                    self._ending("rollback"), timeout=self.database.options.connect_timeout.total_seconds()
                )
            is_clean = not connection.is_closed()
        except DRIVER_ERRORS:
            pass  # it is closed below, and the server rolls back what it hears no more of
        finally:
            await (self.database.give_back if is_clean else self.database.release)(connection)

    def _ending(self, word: str) -> str:
        """Return what ends the transaction; a run's own settings, role and locks are not for whoever is next."""
        return f"{word}; {self._reset}" if self._is_used else word

    def _run_out(self) -> None:
        self._is_late = True
        if self._connection is not None:
            # Whatever is on its way ends with an error; the server rolls back what it hears no more of.
            self._connection.terminate()
