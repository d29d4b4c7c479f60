"""The notifier facet of the SQLite store: mailboxes in this process, datagrams to the others."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from conveyor._builtin.mailbox import Mailbox
from conveyor.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from conveyor._builtin.sqlite.peers import Peers
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor._builtin.sqlite.writer import Writer
    from conveyor.model.events import Notification

__all__ = ["SqliteNotifier"]


class SqliteNotifier:
    """Wake-ups. See `conveyor.contracts.store.notifier`."""

    def __init__(self, writer: Writer, peers: Peers) -> None:
        self._writer = writer
        self._peers = peers
        self._mailboxes: set[Mailbox] = set()

    @asynccontextmanager
    async def subscribe(self, *queue_names: str) -> AsyncIterator[AsyncIterator[Notification]]:
        """Listen to these queues, or to all."""
        mailbox = Mailbox(queue_names)
        self._mailboxes.add(mailbox)
        try:
            if len(self._mailboxes) == 1:
                self._peers.listen()
                # From this look on, the writer thread knows what is old news.
                await self._writer.look()
            yield mailbox
        finally:
            self._mailboxes.discard(mailbox)
            mailbox.close()
            if not self._mailboxes:
                self._peers.close()

    async def publish(self, notification: Notification, /) -> None:
        """Tell every subscriber, in this process and others."""
        try:
            await self._writer.run(_publish, notification)
        except StoreError:
            return  # a hint, never the truth: by contract, failing to send it is no error

    def post(self, notifications: Sequence[Notification]) -> None:
        """Deliver to the subscribers of this process. On the event loop only."""
        for mailbox in self._mailboxes:
            for notification in notifications:
                mailbox.post(notification)

    def close(self) -> None:
        """End every subscription."""
        for mailbox in self._mailboxes:
            mailbox.close()
        self._peers.close()


def _publish(transaction: Transaction, notification: Notification) -> None:
    transaction.hint(*notification)
