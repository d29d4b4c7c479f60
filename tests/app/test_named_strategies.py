"""Strategies by name beside the app's own: opened in order, found by those after them, closed in reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conveyor import Conveyor, InMemoryJobBufferStorageStrategy
from conveyor._builtin.store_queue import StoreJobQueue
from conveyor._cli.opening import looking_only
from conveyor.contracts.buffer_storage import JobBufferStorageStrategy
from conveyor.contracts.job_queue import JobQueueStrategy
from conveyor.contracts.store import Store
from conveyor.errors import ConfigurationError, StoreError
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from conveyor.contracts.strategy import Injector
    from conveyor.model.job import NewJob
    from conveyor.model.queries import AddReceipt

pytestmark = pytest.mark.anyio


class Copying(StoreJobQueue):
    """Adds to the app's store, and a copy of each job to another."""

    async def init(self, injector: Injector, /) -> None:
        await super().init(injector)
        self.archive = injector.get(Store, "archive")

    async def add(self, job: NewJob, /) -> AddReceipt:
        await self.archive.jobs.save_job(job)
        return await super().add(job)

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        await self.archive.jobs.save_jobs(jobs)
        return await super().add_many(jobs)


class Plain:
    """Something to open and to close."""

    def __init__(self, log: list[str], name: str, *, fails: bool = False) -> None:
        self.log, self.name, self.fails = log, name, fails
        self.injector: Injector | None = None

    async def init(self, injector: Injector, /) -> None:
        if self.fails:
            raise LookupError(self.name)
        self.injector = injector
        self.log.append(f"open {self.name}")

    async def destroy(self) -> None:
        self.log.append(f"close {self.name}")


async def test_a_strategy_uses_a_second_store(tmp_path: Path, store_url: str) -> None:
    archive = f"sqlite:///{tmp_path}/archive.db"
    app = Conveyor(store_url, job_queue=Copying(), strategies={"archive": archive})
    async with app:
        job = await app.queue("work").add("note", {})
    async with open_store(archive) as store:
        copy = await store.jobs.find_job(job.id)
    assert copy is not None
    assert copy.name == "note"


async def test_named_strategies_are_found_by_their_kind_and_class_in_their_order() -> None:
    log: list[str] = []
    first, second = Plain(log, "first"), Plain(log, "second")
    queue, storage = StoreJobQueue(), InMemoryJobBufferStorageStrategy()
    async with open_store("memory://") as other:
        given = {"one": first, "two": second, "mirror": queue, "scratch": storage, "other": other}
        app = Conveyor("memory://", strategies=given)
        async with app:
            assert first.injector is not None
            found: Any = first.injector.get
            assert (found(Plain, "one"), found(Plain, "two")) == (first, second)
            assert (found(JobQueueStrategy, "mirror"), found(StoreJobQueue, "mirror")) == (queue, queue)
            assert found(JobBufferStorageStrategy, "scratch") is storage
            assert found(Store, "other") is other
            assert found(Store) is not other
            with pytest.raises(ConfigurationError, match=r"'to'.*did you mean 'two'"):
                found(Plain, "to")
    assert log == ["open first", "open second", "close second", "close first"]


async def test_what_was_opened_is_closed_where_one_fails() -> None:
    log: list[str] = []
    app = Conveyor("memory://", strategies={"fine": Plain(log, "fine"), "broken": Plain(log, "broken", fails=True)})
    with pytest.raises(LookupError, match="broken"):
        async with app:
            pass
    assert log == ["open fine", "close fine"]


@pytest.mark.parametrize("given", ["archive", "", 3, None, object(), [], type("Half", (), {"init": None})()])
def test_what_is_no_strategy_is_refused_when_it_is_given(given: object) -> None:
    with pytest.raises(ConfigurationError, match=r"strategies\['archive'\] must be the URL of a store"):
        Conveyor("memory://", strategies={"archive": given})


def test_strategies_without_names_are_refused() -> None:
    unnamed: Any = [("more", "memory://")]
    with pytest.raises(ConfigurationError, match="strategies must be a mapping"):
        Conveyor("memory://", strategies=unnamed)


def test_a_name_must_be_one() -> None:
    with pytest.raises(ConfigurationError, match="name of a strategy"):
        Conveyor("memory://", strategies={"": "memory://"})


async def test_who_only_looks_migrates_no_named_store(tmp_path: Path) -> None:
    app = Conveyor("memory://", strategies={"archive": f"sqlite:///{tmp_path}/archive.db"})
    with pytest.raises(StoreError, match="does not exist yet"):
        async with looking_only(app):
            pass
    assert not (tmp_path / "archive.db").exists()
