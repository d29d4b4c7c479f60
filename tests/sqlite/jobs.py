"""Jobs and sessions as these tests need them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.sessions import SessionInfo

if TYPE_CHECKING:
    from conveyor._builtin.sqlite.store import SQLiteStore

SESSION: Final = "5e" * 16
LOCK: Final = timedelta(seconds=30)


def new_job(job_id: str, *, priority: int = 0, lifo: bool = False, payload: bytes = b"{}") -> NewJob:
    """Return a job of the queue "mail"."""
    return NewJob(job_id, "mail", "send", payload, JobOptions(priority=priority, lifo=lifo))


async def open_session(store: SQLiteStore) -> None:
    """Let the tests' worker be known."""
    await store.sessions.open(SessionInfo(SESSION, "here", 1, "asyncio"), LOCK)
