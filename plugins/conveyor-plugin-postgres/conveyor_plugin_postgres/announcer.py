"""NOTIFY: hints of this process for those that listen.

They are gathered while the last NOTIFY is on its way, and sent after the commit of what they tell of: inside the adding
transaction a NOTIFY would make all such transactions commit one after another. Where nobody else listens, none is sent.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Final

import anyio

from conveyor.errors import StoreError
from conveyor.model.events import Notification, NotificationKind

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
        # The server's process for the connection that listens for this process, if one does.
        self.own_listener: int | None = None
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
        outgoing, self._outgoing = list(self._outgoing), {}
        if not outgoing:
            return True
        try:
            await database.write_one(self._notify, outgoing)
        except StoreError:
            return False
        return True

    async def _notify(self, part: Part, outgoing: Sequence[Notification]) -> None:
        payloads = list(self._payloads(outgoing))
        await part.execute("notifier/publish", channel(part.statements), payloads, self.own_listener)

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
