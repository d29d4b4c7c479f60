"""The desk: everything of one open job queue that lives in the bridge's thread."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor.errors import LockLostError, StoreError
from conveyor_plugin_nats.connection import Connection
from conveyor_plugin_nats.fetching import Fetcher
from conveyor_plugin_nats.runs import Run, begin
from conveyor_plugin_nats.streams import ensure_stream

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from nats.aio.msg import Msg

    from conveyor.contracts.clock import Clock
    from conveyor.contracts.runtime import Logger
    from conveyor_plugin_nats.options import NatsOptions

__all__ = ["Desk", "open_desk"]

_AT_ONCE: Final = timedelta(0)


class Desk:
    """A connection, the queues that are fetched from, and the jobs that came when nobody wanted them any more."""

    def __init__(self, connection: Connection, clock: Clock, logger: Logger) -> None:
        """Take a connection whose stream is there."""
        self.connection = connection
        self._clock = clock
        self._logger = logger
        self._fetchers: dict[str, Fetcher] = {}
        self._unconfirmed: dict[str, Sequence[Run]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # The ids of the jobs of each queue that were handed back without having run.
        self._handed_back: dict[str, list[str]] = {}

    async def start(self, queue_name: str) -> None:
        """Make a queue ready; twice changes nothing."""
        if queue_name in self._fetchers:
            return
        fetcher = Fetcher(self.connection, queue_name, self._hand_back_later)
        await fetcher.open()
        self._fetchers[queue_name] = fetcher

    async def stop(self, queue_name: str) -> Sequence[str]:
        """End the fetches of a queue, and hand back what they brought too late; return the ids of those jobs."""
        fetcher = self._fetchers.pop(queue_name, None)
        if fetcher is None:
            return ()
        try:
            await fetcher.close()
        except StoreError as exc:
            self._logger.warning("queue %s is stopped, and what it was sent meanwhile comes later: %s", queue_name, exc)
        await self._end_tasks()
        return self._handed_back.pop(queue_name, [])

    async def fetch(self, queue_name: str, limit: int) -> Sequence[Run]:
        """Wait for jobs of a queue and return their runs; none once it is stopped."""
        self._unconfirmed.pop(queue_name, None)
        while (fetcher := self._fetchers.get(queue_name)) is not None:
            messages = await fetcher.fetch(limit)
            try:
                runs = await self._begin(messages)
            except BaseException:
                for message in messages:
                    self._hand_back_later(message)
                raise
            if runs:
                self._unconfirmed[queue_name] = runs
                return runs
        return []

    async def abandon(self, queue_name: str) -> None:
        """Hand back what the last fetch returned to somebody who was cancelled meanwhile."""
        for run in self._unconfirmed.pop(queue_name, ()):
            self._hand_back_later(run.message)

    async def close(self) -> None:
        """Stop everything, and close the connection."""
        try:
            for queue_name in list(self._fetchers):
                await self.stop(queue_name)
            await self._end_tasks()
        finally:
            await self.connection.close()

    async def _begin(self, messages: Sequence[Msg]) -> Sequence[Run]:
        begun = await asyncio.gather(*map(self._begin_one, messages), return_exceptions=True)
        for error in begun:
            if isinstance(error, BaseException):
                raise error
        return [run for run in begun if isinstance(run, Run)]

    async def _begin_one(self, message: Msg) -> Run | None:
        return await begin(message, self.connection, self._clock, self._logger)

    def _hand_back_later(self, message: Msg) -> None:
        self._later(self._hand_back(message))

    async def _hand_back(self, message: Msg) -> None:
        try:
            run = await self._begin_one(message)
            if run is not None:
                await run.hand_back(_AT_ONCE, is_counted=False)
                self._handed_back.setdefault(run.job.queue_name, []).append(run.job.id)
        except LockLostError:
            self._logger.debug("%s is somebody else's by now", message.subject)
        except StoreError as exc:
            self._logger.warning("%s was not handed back, and is delivered again later: %s", message.subject, exc)

    def _later(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_tasks(self) -> None:
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))


async def open_desk(options: NatsOptions, clock: Clock, logger: Logger) -> Desk:
    """Connect, and see to the stream.

    Raises:
        StoreUnavailableError: no server can be reached.
        StoreError: the server, or its stream, does not fit.
    """
    connection = Connection(options, logger)
    await connection.open()
    try:
        await ensure_stream(connection)
    except BaseException:
        await connection.close()
        raise
    return Desk(connection, clock, logger)
