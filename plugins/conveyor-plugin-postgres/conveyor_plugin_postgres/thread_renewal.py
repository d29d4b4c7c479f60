"""Renewing a session from a thread, with a loop and a connection of its own, while the event loop is blocked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from conveyor_plugin_postgres.bridge import run_blocking
from conveyor_plugin_postgres.database import connect
from conveyor_plugin_postgres.driver_errors import DRIVER_ERRORS, store_error
from conveyor_plugin_postgres.limits import run_limited
from conveyor_plugin_postgres.options import ClockKind
from conveyor_plugin_postgres.part import Part
from conveyor_plugin_postgres.sessions import renew

if TYPE_CHECKING:
    from datetime import timedelta

    from conveyor.contracts.clock import Clock
    from conveyor_plugin_postgres.options import PostgresOptions
    from conveyor_plugin_postgres.statements import Statements

__all__ = ["PostgresThreadRenewal"]


class PostgresThreadRenewal:
    """A `ThreadRenewal`; most are never used, so the connection is made at the first renewal."""

    def __init__(self, options: PostgresOptions, statements: Statements, clock: Clock) -> None:
        self._options = options
        self._statements = statements
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Any = None

    def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:
        """Keep what the session holds; False: there is no such session."""
        if self._loop is None:
            self._loop = asyncio.SelectorEventLoop()
        try:
            return run_blocking(self._loop, self._renew(session_id, lock_duration))
        except DRIVER_ERRORS as exc:
            raise store_error(exc, self._options.shown) from exc

    def close(self) -> None:
        """Close the connection, if one was made."""
        if self._loop is None:
            return
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
            # What was terminated closes its socket when the loop turns once more.
            run_blocking(self._loop, asyncio.sleep(0))
        self._loop.close()
        self._loop = None

    async def _renew(self, session_id: str, lock_duration: timedelta) -> bool:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._options)
        moment = self._clock.now() if self._options.clock is ClockKind.APP else None
        part = Part(self._connection, self._statements, moment)
        return await run_limited(self._options, renew, part, session_id, lock_duration)
