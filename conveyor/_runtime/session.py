"""The worker's session: opened, kept open, and opened again if the store lost it."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import sniffio

from conveyor._runtime.transient import until_available
from conveyor.model.sessions import SessionInfo

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from conveyor._runtime.transient import Outage
    from conveyor.contracts.store import Store
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["Session", "describe_session"]

logger: Final = logging.getLogger("conveyor.worker")


class Session:
    """One worker's session in the store."""

    def __init__(self, store: Store, info: SessionInfo, lock_duration: timedelta, outage: Outage) -> None:
        """Describe a session that is not open yet."""
        self.info = info
        self._store = store
        self._is_closed = False
        self._lock_duration = lock_duration
        self._outage = outage

    @property
    def is_closed(self) -> bool:
        """Whether it was ended; it is not opened again."""
        return self._is_closed

    async def open(self) -> None:
        """Make the session known to the store."""
        await until_available(
            lambda: self._store.sessions.open(self.info, self._lock_duration), "open a session", self._outage
        )

    async def renew(self) -> None:
        """Keep the session, which holds no job; open it again where it was cleared away as dead."""
        if not await self._store.sessions.renew(self.info.id, self._lock_duration) and not self._is_closed:
            logger.warning("the store forgot the session of this worker; opening it again")
            await self._store.sessions.open(self.info, self._lock_duration)

    async def reopen(self) -> None:
        """Open the session again, which the store has lost."""
        logger.warning("the store forgot the session of this worker; opening it again")
        await self.open()

    async def close(self) -> None:
        """End the session; what it still holds waits again. It is not opened again after that."""
        self._is_closed = True
        await until_available(lambda: self._store.sessions.close(self.info.id), "close the session", self._outage)


def describe_session(queue_names: Iterable[str], options: WorkerOptions) -> SessionInfo:
    """Return a new session of this process."""
    return SessionInfo(
        id=secrets.token_hex(16),
        hostname=socket.gethostname(),
        pid=os.getpid(),
        backend=sniffio.current_async_library(),
        queue_names=tuple(queue_names),
        concurrency=options.concurrency,
        version=version("conveyor"),
        lock_duration=options.lock_duration,
    )
