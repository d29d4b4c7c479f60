"""Queues of the SQLite store that have limits or groups: known as such, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.statements import sql
from conveyor.model.events import NotificationKind

if TYPE_CHECKING:
    import sqlite3

    from conveyor._builtin.sqlite.transaction import Transaction

__all__ = ["count_waiting_of_group", "guard_queue"]

# Whatever statement moves a job of a group, the turns of the group follow. Files without limits and groups have none of
# these: a trigger costs something for each row, also where it has nothing to do.
_TRIGGERS: Final = (
    "jobs/save_jobs_guard_added",
    "jobs/save_jobs_guard_waits",
    "jobs/save_jobs_guard_freed",
    "jobs/save_jobs_guard_gone",
)


def guard_queue(transaction: Transaction, queue_name: str) -> None:
    """Make a queue known as one with limits or groups; those who fetch from it hear of it when it was none."""
    if not transaction.connection.execute(sql("jobs/save_jobs_guard"), (queue_name,)).rowcount:
        return
    for trigger in _TRIGGERS:
        transaction.connection.execute(sql(trigger))
    transaction.hint(NotificationKind.CHANGED, queue_name)


def count_waiting_of_group(connection: sqlite3.Connection, queue_name: str, group_id: str) -> int:
    """Return how many jobs of a group wait."""
    (count,) = connection.execute(sql("jobs/save_jobs_group"), (queue_name, group_id)).fetchone()
    return int(count)
