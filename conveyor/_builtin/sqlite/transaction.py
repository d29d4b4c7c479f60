"""One transaction of the writer thread, as its operations see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._builtin.sqlite.statements import sql
from conveyor.model.events import Notification

if TYPE_CHECKING:
    import sqlite3

    from conveyor.model.events import NotificationKind

__all__ = ["Transaction"]


class Transaction:
    """What an operation works with: the connection, the store's now, and the hints to send after the commit.

    An operation touches nothing else: it may be run a second time after a rollback.
    """

    __slots__ = ("_next_seq", "_queues", "connection", "hints", "now")

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self.connection = connection
        self.now = now
        self.hints: dict[Notification, None] = {}
        self._next_seq = 0
        self._queues: set[str] = set()

    def hint(self, kind: NotificationKind, queue_name: str = "", job_id: str = "") -> None:
        """Publish this after the commit; equal hints of a group count as one."""
        self.hints[Notification(kind, queue_name, job_id)] = None

    def make_queue(self, queue_name: str) -> None:
        """Make a queue known, if it is not; asked once per group."""
        if queue_name not in self._queues:
            self.connection.execute(sql("jobs/save_jobs_queue"), (queue_name,))
            self._queues.add(queue_name)

    def forget_queue(self, queue_name: str) -> None:
        """Forget a queue that has no limits; whoever adds to it later in the group makes it anew."""
        self.connection.execute(sql("queues/obliterate_queue"), (queue_name,))
        self._queues.discard(queue_name)

    def undo(self, hints: dict[Notification, None]) -> None:
        """Return to these hints after a rollback to a savepoint."""
        self.hints = hints
        self._queues.clear()

    def take_seqs(self, count: int) -> range:
        """Return the next numbers in the order of jobs. No other process can take them: we hold the write lock."""
        if not self._next_seq:
            (highest,) = self.connection.execute("select max(seq) from conveyor_jobs").fetchone()
            self._next_seq = (highest or 0) + 1
        first = self._next_seq
        self._next_seq += count
        return range(first, self._next_seq)
