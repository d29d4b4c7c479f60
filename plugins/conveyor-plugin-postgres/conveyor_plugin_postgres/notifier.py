"""The notifier facet of the PostgreSQL store: mailboxes in this process, and a connection that listens to the others.

Hints of this process go straight to its own mailboxes; see `Announcer` for how the others hear of them.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor.errors import StoreError
from conveyor.model.events import Notification, NotificationKind
from conveyor_plugin_postgres.announcer import ANYTHING, Announcer, channel
from conveyor_plugin_postgres.database import connect
from conveyor_plugin_postgres.driver_errors import DRIVER_ERRORS, store_error
from conveyor_plugin_postgres.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from conveyor_plugin_postgres.database import Database

__all__ = ["PostgresNotifier"]

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 30.0


class PostgresNotifier:
    """Wake-ups. See `conveyor.contracts.store.notifier`."""

    def __init__(self, announcer: Announcer, hear: Callable[[Notification], None]) -> None:
        """Deliver what happens here, first of all to `hear`, and have it announced."""
        self._announcer = announcer
        self._hear = hear
        self._database: Database | None = None
        self._mailboxes: set[Mailbox] = set()
        self._is_lost = anyio.Event()
        self._connection: Any = None
        self._listening = anyio.Lock()

    def use(self, database: Database) -> None:
        """Take the database, which in turn posts what its operations hint at."""
        self._database = database

    @asynccontextmanager
    async def subscribe(self, *queue_names: str) -> AsyncIterator[AsyncIterator[Notification]]:
        """Listen to these queues, or to all."""
        mailbox = Mailbox(queue_names)
        self._mailboxes.add(mailbox)
        try:
            try:
                await self._listen()
            except StoreError:
                # By contract hints may be lost: listen_for_ever goes on trying, and says ANYTHING when it is back.
                self._is_lost.set()
                mailbox.post(ANYTHING)
            yield mailbox
        finally:
            self._mailboxes.discard(mailbox)
            mailbox.close()

    async def publish(self, notification: Notification, /) -> None:
        """Tell every subscriber, in this process and others."""
        self.post((notification,))

    def post(self, notifications: Sequence[Notification]) -> None:
        """Deliver to the subscribers of this process, and soon to the others. On the event loop only."""
        for notification in notifications:
            self._deliver(notification)
        self._announcer.post(notifications)

    def close(self) -> None:
        """End every subscription."""
        for mailbox in self._mailboxes:
            mailbox.close()

    async def listen_for_ever(self) -> None:
        """Make the connection that listens anew when it is lost, and look now and then whether it is."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            with anyio.move_on_after(_LOOK_SECONDS):
                await self._is_lost.wait()
            if not self._mailboxes:
                self._is_lost = anyio.Event()
                await self.rest()
                continue
            if not self._is_lost.is_set() and await self._is_heard():
                continue
            self._is_lost = anyio.Event()
            try:
                await self._listen(is_anew=True)
                pause_seconds = _FIRST_PAUSE_SECONDS
            except StoreError:
                self._is_lost.set()
                await anyio.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)

    async def stop_listening(self) -> None:
        """Close the connection that listens."""
        async with self._listening:
            await self._hang_up()

    async def rest(self) -> None:
        """Close the connection that listens where nobody waits; the next who does makes another."""
        async with self._listening:
            if not self._mailboxes:
                await self._hang_up()

    async def _hang_up(self) -> None:
        connection, self._connection, self._announcer.own_listener = self._connection, None, None
        if connection is not None:
            await self._get_database().bridge.call(lambda: _close(connection))

    async def _listen(self, *, is_anew: bool = False) -> None:
        """See to it that there is a connection that listens; hints may have been lost where there was none."""
        database = self._get_database()
        async with self._listening:
            if is_anew or self._connection is None or self._connection.is_closed():
                await self._hang_up()
                self._connection = self._announcer.own_listener = await database.bridge.call(self._connect)
                if is_anew:
                    self._deliver(ANYTHING)
                self._look_after(self._connection)

    async def _connect(self) -> Any:
        database = self._get_database()
        name = channel(database.statements)
        try:
            connection = await connect(database.options.without_pooler())
            try:
                connection.add_termination_listener(self._receive_end)
                await connection.add_listener(name, self._receive)
                # Not before it listens: whoever sees the lock may rely on its being heard.
                await database.part(connection).execute("notifier/listen", name)
            except BaseException:
                connection.terminate()
                raise
        except DRIVER_ERRORS as exc:
            raise store_error(exc, database.options.shown) from exc
        return connection

    def _receive_end(self, connection: Any) -> None:
        # On asyncio's side.
        self._get_database().bridge.post(self._look_after, connection)

    def _look_after(self, connection: Any) -> None:
        if connection is self._connection and connection.is_closed():
            self._is_lost.set()

    async def _is_heard(self) -> bool:
        """Ask whether the connection is more than half of one: a network may drop it and tell nobody."""
        connection = self._connection
        if connection is None:
            return False
        try:
            async with self._announcer.turn:
                await self._get_database().bridge.call(lambda: connection.execute("select"))
        except DRIVER_ERRORS:
            return False
        return True

    def _receive(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        # On asyncio's side.
        mark, _, text = payload.partition(" ")
        if mark == self._announcer.mark:
            return
        try:
            hints = [Notification(NotificationKind(kind), queue, job) for kind, queue, job in json.loads(text)]
        except ValueError:
            hints = [ANYTHING]
        for hint in hints:
            self._get_database().bridge.post(self._deliver, hint)

    def _deliver(self, notification: Notification) -> None:
        self._hear(notification)
        for mailbox in self._mailboxes:
            mailbox.post(notification)

    def _get_database(self) -> Database:
        assert self._database is not None, "use() comes before anything else"  # noqa: S101 - the store's own order
        return self._database


async def _close(connection: Any) -> None:
    try:
        async with asyncio.timeout(1):
            await connection.close()
    except DRIVER_ERRORS:
        connection.terminate()
