"""NOTIFY: hints of this process for those that listen.

They are gathered while the last NOTIFY is on its way, and sent after the commit of what they tell of: inside the adding
transaction a NOTIFY would make all such transactions commit one after another. Where nobody else listens, none is sent.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor.errors import StoreError
from conveyor.model.events import Notification, NotificationKind
from conveyor_plugin_postgres.driver_errors import DRIVER_ERRORS, store_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor_plugin_postgres.database import Database
    from conveyor_plugin_postgres.part import Part
    from conveyor_plugin_postgres.statements import Statements

__all__ = ["ANYTHING", "Announcer", "channel"]

ANYTHING: Final = Notification(NotificationKind.ANYTHING)
# PostgreSQL takes payloads of up to 8000 bytes.
_LONGEST_PAYLOAD: Final = 7_500
_BREATH_SECONDS: Final = 0.01
_PAUSE_SECONDS: Final = 0.1
# A statement that waits for nothing.
_LONGEST_SECONDS: Final = 5.0


def channel(statements: Statements) -> str:
    """Return the name of what is listened to: each schema has its own."""
    return f"{statements.schema}.hints"


class Announcer:
    """What this process has to tell the others."""

    def __init__(self, *, is_sending: bool) -> None:
        """Send what is posted, or forget it."""
        self._is_sending = is_sending
        # What comes back from the server with this mark is known here already.
        self.mark = secrets.token_hex(4)
        # The connection that listens for this process, if one does, and whose turn it is to say something on it.
        self.own_listener: Any = None
        self.turn = anyio.Lock()
        self._outgoing: dict[Notification, None] = {}
        self._is_wanted = anyio.Event()

    def post(self, notifications: Iterable[Notification]) -> None:
        """Tell the other processes, soon. On the event loop only."""
        if self._is_sending:
            self._outgoing.update(dict.fromkeys(notifications))
            self._is_wanted.set()

    async def send_for_ever(self, database: Database) -> None:
        """Send what was posted: one statement is on its way, what is posted meanwhile goes with the next."""
        while True:
            await self._is_wanted.wait()
            self._is_wanted = anyio.Event()
            if not await self.send_rest(database):
                # At most once, by contract; whoever waits looks by itself after a while.
                await anyio.sleep(_PAUSE_SECONDS)
            # None waits for the disk, but each wakes all who listen: a busy process says so much in one, and the first
            # at once.
            await anyio.sleep(_BREATH_SECONDS)

    async def send_rest(self, database: Database) -> bool:
        """Send what was posted until now; return whether that went well."""
        # Nothing is taken before it can be sent: whoever is cancelled while he waits leaves it to the next.
        async with self.turn:
            outgoing, self._outgoing = list(self._outgoing), {}
            if not outgoing:
                return True
            try:
                await self._send(database, outgoing)
            except StoreError:
                return False
        return True

    async def _send(self, database: Database, outgoing: Sequence[Notification]) -> None:
        if self.own_listener is None:
            await database.write_one(self._notify, outgoing)
        else:
            # It has its share of the lock already, so there it tells of the others alone.
            await database.bridge.call(partial(self._say, database, self.own_listener, outgoing))

    async def _say(self, database: Database, connection: Any, outgoing: Sequence[Notification]) -> None:
        # On asyncio's side.
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                await self._notify(database.part(connection), outgoing)
        except DRIVER_ERRORS as exc:
            # It is made anew once it is known to be closed.
            connection.terminate()
            raise store_error(exc, database.options.shown) from exc

    async def _notify(self, part: Part, outgoing: Sequence[Notification]) -> None:
        await part.execute("notifier/publish", channel(part.statements), list(self._payloads(outgoing)))

    def _payloads(self, outgoing: Sequence[Notification]) -> Iterable[str]:
        text = json.dumps(outgoing)
        if len(text) <= _LONGEST_PAYLOAD:
            yield f"{self.mark} {text}"
        elif len(outgoing) == 1:
            yield f"{self.mark} {json.dumps([ANYTHING])}"
        else:
            half = len(outgoing) // 2
            yield from self._payloads(outgoing[:half])
            yield from self._payloads(outgoing[half:])
