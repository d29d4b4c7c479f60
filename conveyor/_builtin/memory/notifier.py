"""The notifier facet of the memory store: every subscriber is in this process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from conveyor._builtin.mailbox import Mailbox
from conveyor.model.events import Notification

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from conveyor.model.events import NotificationKind

__all__ = ["MemoryNotifier"]


class MemoryNotifier:
    """Hands each notification to the mailboxes of those who listen, at once."""

    def __init__(self) -> None:
        self._mailboxes: list[Mailbox] = []

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens; the hot path need not gather hints for nobody."""
        return bool(self._mailboxes)

    @asynccontextmanager
    async def subscribe(self, *queue_names: str) -> AsyncIterator[AsyncIterator[Notification]]:
        """Listen to these queues, or to all when none is named, for as long as the context is open."""
        mailbox = Mailbox(queue_names)
        self._mailboxes.append(mailbox)
        try:
            yield mailbox
        finally:
            mailbox.close()
            self._mailboxes = [other for other in self._mailboxes if other is not mailbox]

    async def publish(self, notification: Notification, /) -> None:
        """Tell every subscriber."""
        for mailbox in self._mailboxes:
            mailbox.post(notification)

    def tell(self, kind: NotificationKind, queue_names: Iterable[str], job_id: str = "") -> None:
        """Tell every subscriber of each of these queues, as part of a command; it costs nothing unheard."""
        if not self._mailboxes:
            return
        for queue_name in queue_names:
            notification = Notification(kind, queue_name, job_id)
            for mailbox in self._mailboxes:
                mailbox.post(notification)

    def close(self) -> None:
        """End every subscription."""
        for mailbox in self._mailboxes:
            mailbox.close()
