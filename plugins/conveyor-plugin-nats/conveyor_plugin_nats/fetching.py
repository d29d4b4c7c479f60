"""Fetching: asks JetStream for the jobs of one queue; lives in the bridge's thread.

What waits is asked for at once, and only where nothing does is one job waited for: a request for more would bring jobs
later, to a worker that has no room for them.
"""

from __future__ import annotations

import asyncio
import json
from enum import Enum
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from conveyor.errors import StoreUnavailableError
from conveyor_plugin_nats.broker_errors import broker_errors
from conveyor_plugin_nats.streams import ensure_consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

    from conveyor_plugin_nats.connection import Connection

__all__ = ["Fetcher"]

# How long the server keeps a request for a job that is not there yet, and how often it says that it still has it.
WAIT_SECONDS: Final = 30.0
HEARTBEAT_SECONDS: Final = 5.0
MISSED_HEARTBEATS: Final = 2
NANOSECONDS: Final = 10**9
# The status lines of answers that have no job.
_HEARTBEAT: Final = "100"
_NOTHING: Final = frozenset({"404", "408"})


class _Wake(Enum):
    """What ends a request besides its answers."""

    STOPPED = "stopped"
    RECONNECTED = "reconnected"


class Fetcher:
    """Fetches the jobs of one queue, one request at a time."""

    def __init__(self, connection: Connection, queue_name: str, on_stray: Callable[[Msg], object]) -> None:
        """Take the connection, and what is called with a job that came for a request which nobody waits for."""
        self._connection = connection
        self._queue_name = queue_name
        self._on_stray = on_stray
        self._inbox = connection.client.new_inbox()
        self._answers: asyncio.Queue[Msg | _Wake] = asyncio.Queue()
        self._numbers = count(1)
        self._request = ""
        self._asked: str | None = None
        self._is_stopped = False
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        """See that the queue has its consumer, and listen for answers."""
        self._asked = await self._ensure_consumer()
        self._connection.on_reconnect.append(self._resend)
        with broker_errors(self._connection.options.shown):
            self._subscription = await self._connection.client.subscribe(
                f"{self._inbox}.*", cb=self._on_answer, pending_bytes_limit=0, pending_msgs_limit=0
            )

    async def close(self) -> None:
        """End a fetch that goes on with what it has, and hear the last answers; what came too late is a stray.

        Raises:
            StoreUnavailableError: the server does not answer; what it still sends is delivered again later.
        """
        self._is_stopped = True
        self._answers.put_nowait(_Wake.STOPPED)
        self._connection.on_reconnect.remove(self._resend)
        if self._subscription is not None:
            with broker_errors(self._connection.options.shown):
                async with asyncio.timeout(self._connection.options.timeout.total_seconds()):
                    await self._subscription.drain()  # type: ignore[no-untyped-call]  # the client's own lack

    async def fetch(self, limit: int) -> Sequence[Msg]:
        """Wait until there is a job, and return 1 to `limit` of them; none once the fetcher is closed.

        Raises:
            StoreUnavailableError: the server does not answer.
        """
        while not self._is_stopped:
            try:
                jobs = await self._ask(limit, is_waiting=False)
                if not jobs and not self._is_stopped:
                    jobs = await self._ask(1, is_waiting=True)
                    if jobs and limit > 1 and not self._is_stopped:
                        jobs += await self._ask(limit - 1, is_waiting=False, so_far=jobs)
            except StoreUnavailableError:
                # The stream, or the consumer, may have been removed, and made again.
                self._asked = None
                raise
            if jobs:
                return jobs
        return []

    async def _ask(self, limit: int, *, is_waiting: bool, so_far: Sequence[Msg] = ()) -> list[Msg]:
        """Send one request and return what it brought; what was there is a stray where it fails or is cancelled."""
        jobs: list[Msg] = []
        try:
            if self._asked is None:
                self._asked = await self._ensure_consumer()
            self._request = f"{self._inbox}.{next(self._numbers)}"
            with broker_errors(self._connection.options.shown):
                await self._connection.client.publish(self._asked, _request(limit, is_waiting), self._request)
                await self._gather(jobs, limit, is_waiting)
        except BaseException:
            for job in (*so_far, *jobs):
                self._on_stray(job)
            raise
        finally:
            self._request = ""
            self._drop_answers()
        return jobs

    async def _gather(self, jobs: list[Msg], limit: int, is_waiting: bool) -> None:
        timeout = self._connection.options.timeout.total_seconds()
        patience = HEARTBEAT_SECONDS * MISSED_HEARTBEATS if is_waiting else timeout
        while len(jobs) < limit:
            async with asyncio.timeout(patience):
                answer = await self._answers.get()
            if isinstance(answer, _Wake):
                return
            status = (answer.headers or {}).get("Status")
            if status is None:
                jobs.append(answer)
            elif status in _NOTHING:
                return
            elif status != _HEARTBEAT:
                why = (answer.headers or {}).get("Description", "")
                raise StoreUnavailableError(
                    f"NATS at {self._connection.options.shown} gives no jobs of queue {self._queue_name!r} now: "
                    f"{status} {why}".rstrip()
                )

    async def _ensure_consumer(self) -> str:
        consumer = await ensure_consumer(self._connection, self._queue_name)
        return f"$JS.API.CONSUMER.MSG.NEXT.{self._connection.options.stream}.{consumer}"

    async def _on_answer(self, answer: Msg) -> None:
        # A job comes under its own subject, whichever request brought it; one that is left of an earlier request is
        # as good as another.
        is_job = "Status" not in (answer.headers or {})
        if answer.subject == self._request or (is_job and self._request):
            self._answers.put_nowait(answer)
        elif is_job:
            self._on_stray(answer)

    def _drop_answers(self) -> None:
        while not self._answers.empty():
            answer = self._answers.get_nowait()
            if not isinstance(answer, _Wake) and "Status" not in (answer.headers or {}):
                self._on_stray(answer)

    def _resend(self) -> None:
        """The server has forgotten the request that it had from the connection before."""
        if self._request:
            self._answers.put_nowait(_Wake.RECONNECTED)


def _request(limit: int, is_waiting: bool) -> bytes:
    wanted: dict[str, Any] = {"batch": limit}
    if is_waiting:
        wanted |= {
            "expires": int(WAIT_SECONDS * NANOSECONDS),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * NANOSECONDS),
        }
    else:
        wanted["no_wait"] = True
    return json.dumps(wanted).encode()
