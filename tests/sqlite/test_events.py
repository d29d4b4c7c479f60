"""Events in SQLite: triggers that come and go with their watchers, and no more rows than are kept."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from conveyor.model.events import EVENTS_KEPT
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.testing.clocks import ManualClock
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

WATCH: Final = timedelta(seconds=30)
FLOOD: Final = """
insert into conveyor_events (at, kind, queue, job_id, name)
with recursive counted (number) as (select 1 union all select number + 1 from counted where number < ?)
select 0, 'added', 'mails', number, 'send' from counted
"""


def new(job_id: str) -> NewJob:
    """Return a job to be added."""
    return NewJob(job_id, "mails", "send", b"{}", JobOptions())


def triggers(path: Path) -> set[str]:
    """Return the triggers that the file has."""
    connection = sqlite3.connect(path)
    try:
        return {name for (name,) in connection.execute("select name from sqlite_master where type = 'trigger'")}
    finally:
        connection.close()


async def test_triggers_come_with_the_first_watcher_and_go_once_nobody_watches(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    async with open_store(f"sqlite:///{path}", clock=(clock := ManualClock())) as store:
        assert store.events is not None
        before = triggers(path)
        await store.events.watch_events("one", "mails", WATCH)
        await store.events.watch_events("two", "", WATCH)
        assert len(triggers(path) - before) == 7
        await store.events.unwatch_events("one")
        await store.events.prune_events()
        assert len(triggers(path) - before) == 7
        # The other one was killed, and renews its watch no more.
        clock.advance(WATCH)
        await store.events.prune_events()
        assert triggers(path) == before
        await store.jobs.save_jobs([new("a")])
        await store.events.watch_events("three", "mails", WATCH)
        assert len(triggers(path) - before) == 7


async def test_events_that_are_too_many_go_from_their_oldest_end_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    async with open_store(f"sqlite:///{path}") as store:
        assert store.events is not None
        cursor = (await store.events.watch_events("one", "mails", WATCH)).cursor
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute(FLOOD, (EVENTS_KEPT + 50,))
        connection.close()
        page = await store.events.read_events("mails", cursor, limit=1)
        assert (page.lost_count, page.events[0].job_id) == (50, "51")
        page = await store.events.read_events("mails", page.cursor, limit=1)
        assert (page.lost_count, page.events[0].job_id) == (0, "52")


async def test_old_events_go_by_the_time_of_the_store(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/jobs.db", clock=(clock := ManualClock())) as store:
        assert store.events is not None
        await store.events.watch_events("one", "mails", WATCH * 100)
        await store.jobs.save_jobs([new("a")])
        pruned = []
        for _ in range(4):
            pruned.append(await store.events.prune_events())
            clock.advance(WATCH)
        assert pruned == [0, 0, 1, 0]
