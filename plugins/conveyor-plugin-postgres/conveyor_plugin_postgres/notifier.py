"""The notifier facet of the PostgreSQL store: mailboxes in this process, NOTIFY to the others.

Hints of this process go straight to its own mailboxes. For the others they are gathered while the last NOTIFY is on
its way, and sent after the commit of what they tell of: inside the adding transaction a NOTIFY would make all such
transactions commit one after another.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor.errors import StoreError
from conveyor.model.events import Notification, NotificationKind
from conveyor_plugin_postgres.database import connect
from conveyor_plugin_postgres.driver_errors import DRIVER_ERRORS, store_error
from conveyor_plugin_postgres.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part

__all__ = ["PostgresNotifier"]

# PostgreSQL takes payloads of up to 8000 bytes.
_LONGEST_PAYLOAD: Final = 7_500
_BREATH_SECONDS: Final = 0.01
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 30.0
_ANYTHING: Final = Notification(NotificationKind.ANYTHING)


class PostgresNotifier:
    """Wake-ups. See `conveyor.contracts.store.notifier`."""

    def __init__(self) -> None:
        self._database: Database | None = None
        self._hear: Callable[[Notification], None] = _ignore
        self._mailboxes: set[Mailbox] = set()
        self._outgoing: dict[Notification, None] = {}
        self._is_wanted = anyio.Event()
        self._is_closed = False
        self._is_lost = anyio.Event()
        # What comes back from the server with this mark is known here already.
        self._mark = secrets.token_hex(4)
        self._connection: Any = None
        self._listening = anyio.Lock()

    def use(self, database: Database, hear: Callable[[Notification], None]) -> None:
        """Take the database, which in turn posts what its operations hint at, and who hears all first."""
        self._database = database
        self._hear = hear

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
                mailbox.post(_ANYTHING)
            yield mailbox
        finally:
            self._mailboxes.discard(mailbox)
            mailbox.close()

    async def publish(self, notification: Notification, /) -> None:
        """Tell every subscriber, in this process and others."""
        self.post((notification,))

    def post(self, notifications: Iterable[Notification]) -> None:
        """Deliver to the subscribers of this process, and soon to the others. On the event loop only."""
        for notification in notifications:
            self._deliver(notification)
            self._outgoing[notification] = None
        self._is_wanted.set()

    def close(self) -> None:
        """End every subscription."""
        self._is_closed = True
        for mailbox in self._mailboxes:
            mailbox.close()

    async def send_for_ever(self) -> None:
        """Send what was posted: one statement is on its way, what is posted meanwhile goes with the next."""
        database = self._get_database()
        while True:
            await self._is_wanted.wait()
            self._is_wanted = anyio.Event()
            outgoing, self._outgoing = list(self._outgoing), {}
            try:
                await database.write_one(self._notify, outgoing)
            except StoreError:
                # At most once, by contract; whoever waits looks by itself after a while.
                await anyio.sleep(_FIRST_PAUSE_SECONDS)
            # Each is a commit, on which the disk waits: a busy process says so much in one, and the first at once.
            await anyio.sleep(_BREATH_SECONDS)

    async def send_rest(self) -> None:
        """Send what was posted last, before everything closes."""
        outgoing, self._outgoing = list(self._outgoing), {}
        if outgoing:
            try:
                await self._get_database().write_one(self._notify, outgoing)
            except StoreError:
                return  # at most once, by contract

    async def listen_for_ever(self) -> None:
        """Make the connection that listens anew when it is lost, and look now and then whether it is."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            with anyio.move_on_after(_LOOK_SECONDS):
                await self._is_lost.wait()
            # Where nobody waits, the next who does makes a connection.
            if not self._mailboxes or (not self._is_lost.is_set() and await self._is_heard()):
                self._is_lost = anyio.Event()
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
        database = self._get_database()
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await database.bridge.call(lambda: _close(connection))

    async def _listen(self, *, is_anew: bool = False) -> None:
        """See to it that there is a connection that listens; hints may have been lost where there was none."""
        database = self._get_database()
        async with self._listening:
            if is_anew or self._connection is None or self._connection.is_closed():
                former, self._connection = self._connection, None
                if former is not None:
                    await database.bridge.call(lambda: _close(former))
                self._connection = await database.bridge.call(self._connect)
                if is_anew:
                    self._deliver(_ANYTHING)
                self._look_after(self._connection)

    async def _connect(self) -> Any:
        database = self._get_database()
        try:
            connection = await connect(database.options)
            try:
                connection.add_termination_listener(self._receive_end)
                await connection.add_listener(self._channel(), self._receive)
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
            await self._get_database().bridge.call(lambda: connection.execute("select"))
        except DRIVER_ERRORS:
            return False
        return True

    def _receive(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        # On asyncio's side.
        mark, _, text = payload.partition(" ")
        if mark == self._mark:
            return
        try:
            hints = [Notification(NotificationKind(kind), queue, job) for kind, queue, job in json.loads(text)]
        except ValueError:
            hints = [_ANYTHING]
        for hint in hints:
            self._get_database().bridge.post(self._deliver, hint)

    def _deliver(self, notification: Notification) -> None:
        self._hear(notification)
        for mailbox in self._mailboxes:
            mailbox.post(notification)

    async def _notify(self, part: Part, outgoing: Sequence[Notification]) -> None:
        await part.execute("notifier/publish", self._channel(), list(self._payloads(outgoing)))

    def _payloads(self, outgoing: Sequence[Notification]) -> Iterable[str]:
        text = json.dumps(outgoing)
        if len(text) <= _LONGEST_PAYLOAD:
            yield f"{self._mark} {text}"
        elif len(outgoing) == 1:
            yield f"{self._mark} {json.dumps([_ANYTHING])}"
        else:
            half = len(outgoing) // 2
            yield from self._payloads(outgoing[:half])
            yield from self._payloads(outgoing[half:])

    def _channel(self) -> str:
        return f"{self._get_database().statements.schema}.hints"

    def _get_database(self) -> Database:
        assert self._database is not None, "use() comes before anything else"  # noqa: S101 - the store's own order
        return self._database


def _ignore(_: Notification) -> None:
    """Nobody hears yet."""


async def _close(connection: Any) -> None:
    try:
        async with asyncio.timeout(1):
            await connection.close()
    except DRIVER_ERRORS:
        connection.terminate()
