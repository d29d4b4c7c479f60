"""The connections that callers may have, and how each runs a statement inside the transaction that is open on it.

Nothing is imported for a connection of another kind: they are told apart by the names of their classes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import sniffio

from conveyor.errors import ConfigurationError
from conveyor_plugin_postgres.bridge import run_where_it_lives
from conveyor_plugin_postgres.driver_errors import DRIVER_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Caller", "caller_of"]

# A statement and its arguments.
Call: TypeAlias = "tuple[str, Sequence[object]]"
# Takes the row of an answer, or refuses it by raising.
Accept: TypeAlias = "Callable[[Any], None]"

_NO_TRANSACTION: Final = "connection= has no transaction to join: begin one first, and commit it when all is done"
_KNOWN: Final = (
    "a connection of asyncpg or psycopg, a connection or session of SQLAlchemy on one of these, "
    "or what ctx.transaction() gives"
)


class Caller(Protocol):
    """One kind of connection."""

    async def run(self, connection: Any, calls: Sequence[Call], accept: Accept) -> None:
        """Run statements of one row each in one savepoint, which is undone where `accept` raises."""
        ...

    def errors(self) -> tuple[type[Exception], ...]:
        """Return what the library raises."""
        ...


def caller_of(connection: object) -> Caller:
    """Return how to use a connection.

    Raises:
        ConfigurationError: it is of no kind we know, or cannot be used on this loop.
    """
    for each in type(connection).__mro__:
        name = f"{each.__module__}.{each.__qualname__}"
        if name in _CALLERS:
            return _CALLERS[name]
        if name in _ON_ASYNCIO:
            if sniffio.current_async_library() == "asyncio":
                return _ON_ASYNCIO[name]
            raise ConfigurationError(
                f"connection= takes a {name} on asyncio only; on trio, one that is not async, or asyncpg's"
            )
    kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
    raise ConfigurationError(f"connection= takes {_KNOWN}, got a {kind}")


class _Asyncpg:
    async def run(self, connection: Any, calls: Sequence[Call], accept: Accept) -> None:
        async def work() -> None:
            async with connection.transaction():
                for sql, arguments in calls:
                    accept(await connection.fetchrow(sql, *arguments))

        if not connection.is_in_transaction():
            raise ConfigurationError(_NO_TRANSACTION)
        await run_where_it_lives(connection, work)

    def errors(self) -> tuple[type[Exception], ...]:
        return DRIVER_ERRORS


class _Psycopg:
    """On the caller's thread: the event loop waits, as it does for every statement on such a connection."""

    async def run(self, connection: Any, calls: Sequence[Call], accept: Accept) -> None:
        from psycopg import RawCursor
        from psycopg.rows import tuple_row

        with RawCursor(connection, row_factory=tuple_row) as cursor:
            if _is_idle(connection) and not connection.autocommit:
                # Where psycopg begins transactions by itself, the add begins one, too.
                cursor.execute("select")
            if _is_idle(connection):
                raise ConfigurationError(_NO_TRANSACTION)
            with connection.transaction():
                for sql, arguments in calls:
                    accept(cursor.execute(sql.encode(), arguments).fetchone())

    def errors(self) -> tuple[type[Exception], ...]:
        import psycopg

        return (psycopg.Error, *DRIVER_ERRORS)


class _AsyncPsycopg(_Psycopg):
    async def run(self, connection: Any, calls: Sequence[Call], accept: Accept) -> None:
        from psycopg import AsyncRawCursor
        from psycopg.rows import tuple_row

        async with AsyncRawCursor(connection, row_factory=tuple_row) as cursor:
            if _is_idle(connection) and not connection.autocommit:
                await cursor.execute("select")
            if _is_idle(connection):
                raise ConfigurationError(_NO_TRANSACTION)
            async with connection.transaction():
                for sql, arguments in calls:
                    await cursor.execute(sql.encode(), arguments)
                    accept(await cursor.fetchone())


class _Alchemy:
    """A connection of SQLAlchemy: once it knows of the transaction, its driver's own connection is used."""

    async def run(self, connection: Any, calls: Sequence[Call], accept: Accept) -> None:
        driver = _driver(connection)
        if not (connection.in_transaction() and driver.is_begun()):
            connection.exec_driver_sql("select 1")
        await driver.run(calls, accept)

    def errors(self) -> tuple[type[Exception], ...]:
        from sqlalchemy.exc import SQLAlchemyError

        return (SQLAlchemyError, *_loaded_errors())


class _AlchemySession(_Alchemy):
    async def run(self, connection: Any, calls: Sequence[Call], accept: Accept) -> None:
        await super().run(connection.connection(), calls, accept)


class _AsyncAlchemy(_Alchemy):
    async def run(self, connection: Any, calls: Sequence[Call], accept: Accept) -> None:
        if connection.sync_connection is None:
            raise ConfigurationError(_NO_TRANSACTION)
        driver = _driver(connection.sync_connection)
        if not (connection.in_transaction() and driver.is_begun()):
            await connection.exec_driver_sql("select 1")
        await driver.run(calls, accept)


class _AsyncAlchemySession(_AsyncAlchemy):
    async def run(self, connection: Any, calls: Sequence[Call], accept: Accept) -> None:
        await super().run(await connection.connection(), calls, accept)


class _Driver:
    """The connection of a driver beneath one of SQLAlchemy."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._caller = caller_of(connection)

    def is_begun(self) -> bool:
        if isinstance(self._caller, _Asyncpg):
            is_begun: bool = self._connection.is_in_transaction()
            return is_begun
        return not _is_idle(self._connection)

    async def run(self, calls: Sequence[Call], accept: Accept) -> None:
        await self._caller.run(self._connection, calls, accept)


def _driver(connection: Any) -> _Driver:
    return _Driver(connection.connection.driver_connection)


def _is_idle(connection: Any) -> bool:
    """Whether a connection of psycopg is outside of any transaction."""
    return bool(connection.info.transaction_status == connection.info.transaction_status.IDLE)


def _loaded_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the drivers that SQLAlchemy may stand on and that somebody has imported."""
    return _Psycopg().errors() if "psycopg" in sys.modules else DRIVER_ERRORS


_CALLERS: Final[Mapping[str, Caller]] = {
    "asyncpg.connection.Connection": _Asyncpg(),
    "asyncpg.pool.PoolConnectionProxy": _Asyncpg(),
    "psycopg.Connection": _Psycopg(),
    "sqlalchemy.engine.base.Connection": _Alchemy(),
    "sqlalchemy.orm.scoping.scoped_session": _AlchemySession(),
    "sqlalchemy.orm.session.Session": _AlchemySession(),
}
_ON_ASYNCIO: Final[Mapping[str, Caller]] = {
    "psycopg.AsyncConnection": _AsyncPsycopg(),
    "sqlalchemy.ext.asyncio.engine.AsyncConnection": _AsyncAlchemy(),
    "sqlalchemy.ext.asyncio.scoping.async_scoped_session": _AsyncAlchemySession(),
    "sqlalchemy.ext.asyncio.session.AsyncSession": _AsyncAlchemySession(),
}
