"""A worker over a SQLite file that is locked, full, read-only, gone or another: it stays, and goes on by itself."""

from __future__ import annotations

import resource
import sqlite3
import sys
from contextlib import asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest

from conveyor import Conveyor, JobState
from conveyor.errors import SchemaError, StoreError, StoreUnavailableError
from conveyor.testing.clocks import JumpingClock
from conveyor.testing.stores import open_store
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from conveyor._builtin.sqlite.store import SQLiteStore

pytestmark = pytest.mark.anyio

# Holds the file's write lock from the moment it says so until it is spoken to.
LOCKER: Final = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("begin immediate")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("rollback")
"""


@pytest.fixture
def anyio_backend(steady_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Run in a time that leaves out what the machine does in between."""
    return steady_backend


class Work:
    """An app over a file, with jobs that a test can hold."""

    def __init__(self, file: Path, *, busy_timeout: str = "50ms") -> None:
        self.file = file
        self.app = Conveyor(f"sqlite:///{file}?busy_timeout={busy_timeout}", clock=JumpingClock())
        self.runs: list[str] = []
        self.cancelled: list[tuple[str, float]] = []
        self.go_on = anyio.Event()
        queue = self.app.queue("work")

        @queue.job()
        async def note(name: str) -> str:
            self.runs.append(name)
            return name

        @queue.job()
        async def hold(name: str) -> str:
            self.runs.append(name)
            try:
                await self.go_on.wait()
            except BaseException:
                self.cancelled.append((name, anyio.current_time()))
                raise
            return name

        self.note, self.hold = note, hold

    @property
    def store(self) -> SQLiteStore:
        """The open store."""
        store: SQLiteStore = self.app._services.store  # type: ignore[assignment]
        return store

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection that the store writes with."""
        connection = self.store._writer._writing.connection
        assert connection is not None
        return connection

    async def until(self, condition: Callable[[], object]) -> None:
        """Look until a plain condition holds."""

        async def holds() -> object:
            return condition()

        await eventually(holds)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "jobs.db"


@asynccontextmanager
async def locked(file: Path) -> AsyncIterator[None]:
    """Have another process hold the write lock in this block."""
    async with await anyio.open_process([sys.executable, "-c", LOCKER, str(file)], stderr=None) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert (await process.stdout.receive()).startswith(b"locked")
        yield
        await process.stdin.send(b"\n")
        assert await process.wait() == 0


@contextmanager
def limited_file_size(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size in this block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("busy_timeout", ["50ms", "3s"])
async def test_handlers_stop_in_time_while_another_process_locks_the_file(file: Path, busy_timeout: str) -> None:
    work = Work(file, busy_timeout=busy_timeout)
    async with work.app, work.app.worker(lock_duration="600ms", stalled_interval="1h"):
        held = await work.hold.add("held")
        await work.until(lambda: work.runs)
        async with locked(file):
            # The last renewal that was answered may have been sent at the moment the lock was taken, no later.
            began = anyio.current_time()
            await work.until(lambda: work.cancelled)
            assert work.cancelled[0][1] - began < 0.6
        work.go_on.set()
        assert await held.result(timeout="20s") == "held"
        assert await (await work.note.add("after")).result(timeout="10s") == "after"
        assert work.runs == ["held", "held", "after"]
        assert [attempt.outcome for attempt in await held.attempts()] == ["completed"]


async def test_what_ended_while_the_file_was_locked_is_settled_once(file: Path) -> None:
    work = Work(file)
    async with work.app, work.app.worker(lock_duration="1s", stalled_interval="1h"):
        jobs = [await work.hold.add(f"job {number}") for number in range(5)]
        await work.until(lambda: len(work.runs) == 5)
        async with locked(file):
            work.go_on.set()
            await anyio.sleep(1.2)  # their lock is over meanwhile, though nobody reclaimed them
        for job in jobs:
            await job.result(timeout="10s")
            assert [attempt.outcome for attempt in await job.attempts()] == ["completed"]
        assert len(work.runs) == 5


async def test_a_full_disk_refuses_adds_and_loses_no_outcome(file: Path) -> None:
    work = Work(file)
    async with work.app, work.app.worker():
        held = await work.hold.add("held")
        await work.until(lambda: work.runs)
        with limited_file_size((await anyio.Path(f"{file}-wal").stat()).st_size):
            with pytest.raises(StoreUnavailableError, match="free space"):
                await work.note.add("no room")
            work.go_on.set()
            await anyio.sleep(0.1)
            assert (await held.refresh()).state is JobState.ACTIVE
        assert await held.result(timeout="10s") == "held"
        assert await (await work.note.add("room again")).result(timeout="10s") == "room again"
        assert work.runs == ["held", "room again"]


async def test_a_database_that_may_not_grow_says_to_make_room(file: Path) -> None:
    work = Work(file)
    async with work.app, work.app.worker():
        (pages,) = work.connection.execute("pragma page_count").fetchone()
        work.connection.execute(f"pragma max_page_count = {pages}").fetchall()
        with pytest.raises(StoreUnavailableError, match="the disk is full: make room") as caught:
            await work.note.add("x" * 1_000_000)
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        work.connection.execute(f"pragma max_page_count = {pages + 10_000}").fetchall()
        assert await (await work.note.add("room again")).result(timeout="10s") == "room again"


async def test_a_database_that_became_read_only_is_waited_for(file: Path) -> None:
    work = Work(file)
    async with work.app, work.app.worker():
        held = await work.hold.add("held")
        await work.until(lambda: work.runs)
        work.connection.execute("pragma query_only = true")
        with pytest.raises(StoreUnavailableError, match="read-only: give this process the right to write"):
            await work.note.add("refused")
        work.go_on.set()
        await anyio.sleep(0.1)
        assert (await held.refresh()).state is JobState.ACTIVE
        work.connection.execute("pragma query_only = false")
        assert await held.result(timeout="10s") == "held"
        assert work.runs == ["held"]


async def test_a_deleted_file_is_missed_and_a_new_one_is_used(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    work = Work(file)
    async with work.app, work.app.worker():
        lost = await work.note.options(delay="1 hour").add("lost")
        held = await work.hold.add("held")
        await work.until(lambda: work.runs)
        await anyio.Path(file).unlink()
        with pytest.raises(StoreUnavailableError, match="was deleted or moved while it was in use"):
            await work.note.add("too early")
        assert not await anyio.Path(file).exists(), "a directory that is not mounted must not get a new file"
        async with open_store(f"sqlite:///{file}"):
            pass
        await work.until(lambda: work.cancelled)
        after = await _added(work, "after")
        assert (after, work.runs.count("after")) == ("after", 1)
    assert f"2 jobs that had not ended are not in it: {held.id}, {lost.id}" in caplog.text
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


async def test_an_older_copy_in_its_place_is_used_and_what_it_lacks_is_named(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(file)
    async with work.app:
        old = await work.note.add("in both")
        copy = tmp_path / "copy.db"
        work.connection.execute("vacuum into ?", (str(copy),))
        new = await work.note.options(delay="1 hour").add("in the newer one")
        async with work.app.worker():
            await old.result(timeout="10s")
            copy.replace(file)
            await work.until(lambda: work.runs == ["in both", "in both"])
            assert await _added(work, "after") == "after"
            assert await work.store.jobs.find_job(new.id) is None
    assert f"1 jobs that had not ended are not in it: {new.id}" in caplog.text


async def test_a_file_that_was_moved_away_is_complete(file: Path, tmp_path: Path) -> None:
    work = Work(file)
    away = tmp_path / "away.db"
    async with work.app, work.app.worker():
        job = await work.note.options(delay="1 hour").add("kept")
        await anyio.Path(file).rename(away)
        await work.until(lambda: not (tmp_path / "jobs.db-wal").exists())
        await anyio.Path(away).rename(file)
        assert await _added(work, "after") == "after"
        assert (await job.refresh()).state is JobState.DELAYED
    async with open_store(f"sqlite:///{file}") as store:
        found = await store.jobs.find_job(job.id)
    assert found is not None


async def _added(work: Work, name: str) -> str:
    """Add a job as soon as the store takes it, and return its result."""

    async def is_added() -> bool:
        try:
            jobs.append(await work.note.add(name))
        except StoreUnavailableError:
            return False
        return True

    jobs: list[object] = []
    await eventually(is_added)
    (job,) = jobs
    return await job.result(timeout="10s")  # type: ignore[attr-defined, no-any-return]


async def test_what_is_no_database_ends_the_worker_in_clear_words(file: Path, tmp_path: Path) -> None:
    work = Work(file)
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("a shopping list, long enough to be read as a header by whoever reads headers\n" * 20)
    with pytest.raises(StoreError, match=r"not a database.*name another one") as caught:
        await _run_with_another(work, lambda: rubbish)
    assert not isinstance(caught.value, StoreUnavailableError)


async def test_a_newer_schema_ends_the_worker_and_says_to_upgrade(file: Path, tmp_path: Path) -> None:
    work = Work(file)
    newer = tmp_path / "newer.db"

    def make_newer() -> Path:
        # Not by the handlers' connection: one of them may be in the middle of something.
        with closing(sqlite3.connect(file)) as own:
            own.execute("vacuum into ?", (str(newer),))
        with closing(sqlite3.connect(newer)) as connection, connection:
            connection.execute("update conveyor_migrations set version = 999")
        return newer

    with pytest.raises(SchemaError, match="upgrade conveyor"):
        await _run_with_another(work, make_newer)


async def _run_with_another(work: Work, make: Callable[[], Path]) -> None:
    """Run a worker, and put another file in the place of its own."""
    async with work.app, work.app.worker():
        await anyio.Path(make()).replace(work.file)
        await anyio.sleep(20)
