"""What waits for the disk: each verb whose effect somebody relies on once it is acknowledged (P1).

A test cannot cut the power; what it can see is with which setting the commit was made.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from conveyor._builtin.sqlite.store import SQLiteStore
from conveyor.model.flows import Flow, plan_flow
from conveyor.model.job import AttemptOutcome
from conveyor.model.locks import Lock, LockToken
from conveyor.model.options import JobOptions
from conveyor.model.queries import Want
from conveyor.model.schedules.values import ScheduleRule, ScheduleSpec
from conveyor.model.settlement import Settlement
from conveyor.model.states import Command
from conveyor.testing.stores import open_store
from tests.sqlite.jobs import LOCK, SESSION, new_job, open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

FULL: Final = 2
HELD: Final = LockToken(SESSION, 1)
WANTS: Final = [Want("mail", 1)]
END: Final = Settlement("held", "mail", HELD, Command.COMPLETE, AttemptOutcome.COMPLETED, name="send")
FLOW: Final = plan_flow(Flow(new_job("parent"), [new_job("child")]))
HOURLY: Final = ScheduleSpec("hourly", "mail", "send", b"{}", JobOptions(), ScheduleRule(timedelta(hours=1)))


def verb(name: str, call: Callable[[SQLiteStore], Awaitable[object]]) -> object:
    return pytest.param(call, id=name)


LASTING: Final = [
    verb("save_job", lambda store: store.jobs.save_job(new_job("a"))),
    verb("save_jobs", lambda store: store.jobs.save_jobs([new_job("a"), new_job("b")])),
    verb("save_flow", lambda store: store.flows.save_flow(FLOW)),
    verb("buffers.add", lambda store: store.buffers.add("crates", [new_job("a")])),
    verb("upsert_schedules", lambda store: store.schedules.upsert_schedules([HOURLY])),
    verb("settle_jobs", lambda store: store.jobs.settle_jobs([END])),
    verb("settle and fetch", lambda store: store.jobs.settle_jobs([END], WANTS, SESSION, LOCK, fetch_number=2)),
    verb("cancel_job", lambda store: store.jobs.cancel_job("held", "enough")),
    verb("remove_job", lambda store: store.jobs.remove_job("waiting")),
]
PASSING: Final = [
    verb("renew", lambda store: store.sessions.renew(SESSION, LOCK)),
    verb("fetch_jobs", lambda store: store.jobs.fetch_jobs(WANTS, SESSION, LOCK, fetch_number=2)),
    verb("extend_locks", lambda store: store.jobs.extend_locks([Lock("held", HELD)], LOCK)),
    verb("release_locks", lambda store: store.jobs.release_locks([Lock("held", HELD)])),
]


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SQLiteStore]:
    """A store that survives a loss of power, with a job that runs and one that waits."""
    async with open_store(f"sqlite:///{file}?synchronous=full") as opened:
        assert isinstance(opened, SQLiteStore)
        await open_session(opened)
        await opened.jobs.save_job(new_job("held"))
        await opened.jobs.fetch_jobs(WANTS, SESSION, LOCK, fetch_number=1)
        await opened.jobs.save_job(new_job("waiting"))
        yield opened


@pytest.mark.parametrize("call", LASTING)
async def test_what_somebody_relies_on_waits_for_the_disk(
    store: SQLiteStore, call: Callable[[SQLiteStore], Awaitable[object]]
) -> None:
    await store.sessions.renew(SESSION, LOCK)
    await call(store)
    assert store._writer._is_waiting


@pytest.mark.parametrize("call", PASSING)
async def test_who_holds_a_lock_does_not(store: SQLiteStore, call: Callable[[SQLiteStore], Awaitable[object]]) -> None:
    await call(store)
    assert not store._writer._is_waiting


async def test_the_transaction_of_a_run_waits_for_the_disk(store: SQLiteStore) -> None:
    opened = await store.transactions.begin(Lock("held", HELD), timedelta(seconds=10))
    try:
        (row,) = await opened.connection.fetch("pragma synchronous")
    finally:
        await opened.roll_back()
    assert row["synchronous"] == FULL
