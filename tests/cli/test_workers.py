"""``conveyor workers list``: who works, on what, and who was lost."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.testing.stores import open_store
from tests.cli.test_shapes import shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

STORE: Final = ("--store", "sqlite:///jobs.db")
LOCK: Final = timedelta(seconds=60)
WORKER: Final = SessionInfo(
    "a" * 32, "host", 4711, "trio", ("mails", "reports"), concurrency=10, version="1.2.3", lock_duration=LOCK
)


@pytest.fixture
def two_workers(add: Callable[..., str]) -> None:
    """One that has a job in hand, and one that died at once."""
    add("send", {"to": "ada"})

    async def open_them() -> None:
        async with open_store("sqlite:///jobs.db") as store:
            await store.sessions.open(WORKER, LOCK)
            await store.jobs.fetch_jobs([Want("mails", 1)], WORKER.id, LOCK, fetch_number=1)
            await store.sessions.open(SessionInfo("b" * 32, "other", 1, "asyncio"), timedelta(0))

    anyio.run(open_them)


@pytest.mark.usefixtures("two_workers")
def test_workers_are_listed_with_what_they_have_in_hand(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("workers", "list", *STORE, "-o", "json")
    assert (ran.code, ran.err) == (0, "")
    first, second = ran.json
    assert list(first) == shapes("workers list")[0]
    assert (first["hostname"], first["pid"], first["version"]) == ("host", 4711, "1.2.3")
    assert (first["running"], first["concurrency"], second["running"]) == (1, 10, 0)
    assert first["opened_at"] <= first["last_seen_at"] < first["lock_until"]
    assert (second["last_seen_at"], second["queue_names"]) == (None, [])


@pytest.mark.usefixtures("two_workers")
def test_one_that_died_is_called_lost(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("workers", "list", *STORE)
    _, alive, lost = ran.out.splitlines()
    assert "4711 on host" in alive
    assert "1 of 10" in alive
    assert "lost" in lost
    assert "lost" not in alive


def test_nobody_is_listed_where_nobody_works(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": "ada"})
    ran = conveyor("workers", "list", *STORE)
    assert (ran.code, ran.out) == (0, "")
    assert "nobody works" in ran.err
    assert conveyor("workers", "list", *STORE, "-o", "json").json == []
