"""A handler's own transaction, and adds in the caller's: both take effect whole, or not at all."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, Flow, JobContext, JobState, Snooze, fixed
from conveyor.errors import (
    CapabilityError,
    ConfigurationError,
    DuplicateJobError,
    JobFailedError,
    JobNotFoundError,
    LockLostError,
    PayloadError,
    StoreError,
)
from conveyor.testing.clocks import JumpingClock
from conveyor.testing.faults import FaultScript, FaultyStore
from conveyor.testing.stores import open_store
from tests.eventually import eventually
from tests.steady import block as block_loop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(steady_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Run in a time that leaves out what the machine does in between."""
    return steady_backend


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def books(file: Path) -> Iterator[sqlite3.Connection]:
    """The user's own connection to the store's file, with a table."""
    connection = sqlite3.connect(file, timeout=10)
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table books (title text unique)")
    connection.commit()
    yield connection
    connection.close()


@pytest.fixture
def shop(file: Path, books: sqlite3.Connection) -> Conveyor:
    """An app over SQLite, not open yet."""
    del books
    return Conveyor(f"sqlite:///{file}", clock=JumpingClock())


def titles(books: sqlite3.Connection) -> list[str]:
    return [title for (title,) in books.execute("select title from books order by title")]


async def test_leaving_the_block_completes_the_job_with_what_was_written(
    shop: Conveyor, books: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    @shop.queue("till").job(attempts=3)
    async def sell(context: JobContext, title: str) -> str:
        context.log("before")
        async with context.transaction() as connection:
            context.log("inside")
            context.progress(1, 2)
            assert await connection.execute("insert into books values (?)", title) == 1
            assert await connection.executemany("insert into books values (?)", [("b",), ("c",)]) == 2
            assert await connection.fetch("select title from books where title < 'd' order by 1") == [
                {"title": "b"},
                {"title": "c"},
            ]
            row = await connection.fetchrow("select count(*) as sold from books")
            assert row is not None
            context.set_result(f"{row['sold']} sold")
            assert await connection.fetchrow("select 1 where false") is None
        return "3 sold"

    async with shop, shop.worker():
        job = await sell.add("zest")
        assert await job.result(timeout="10s") == "3 sold"
        assert titles(books) == ["b", "c", "zest"]
        assert [line.message for line in await job.logs()] == ["before", "inside"]
        assert job.progress is not None
        assert [attempt.outcome for attempt in await job.attempts()] == ["completed"]
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_what_the_handler_does_after_the_commit_changes_nothing(
    shop: Conveyor, books: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []

    @shop.queue("till").job(attempts=3)
    async def sell(context: JobContext, title: str) -> Any:
        ran.append(title)
        async with context.transaction() as connection:
            await connection.execute("insert into books values (?)", title)
        if title == "raises":
            raise ValueError("too late")
        return Snooze("1ms") if title == "snoozes" else "unkept"

    async with shop, shop.worker():
        for title in ("raises", "returns", "snoozes"):
            job = await sell.add(title)
            assert await job.result(timeout="10s") is None
    assert ran == titles(books) == ["raises", "returns", "snoozes"]
    assert "stays completed" in caplog.text
    assert "too late" in caplog.text
    assert caplog.text.count("is not kept") == 2
    assert "lock was lost" not in caplog.text


async def test_a_run_goes_on_after_its_commit_though_its_lock_is_gone(shop: Conveyor) -> None:
    tail: list[str] = []

    @shop.queue("till").job()
    async def sell(context: JobContext) -> None:
        async with context.transaction():
            pass
        await anyio.sleep(0.6)  # several renewals
        tail.append("reached")

    async with shop, shop.worker(lock_duration="300ms"):
        await (await sell.add()).wait_until_finished(timeout="10s")
    assert tail == ["reached"]


@pytest.mark.parametrize("end", ["raise", "timeout", "cancel", "lose"])
async def test_a_run_that_is_stopped_inside_its_block_leaves_nothing(
    shop: Conveyor, books: sqlite3.Connection, end: str
) -> None:
    inside, errors = anyio.Event(), list[type[BaseException]]()

    @shop.queue("till").job(timeout="1s" if end == "timeout" else "30s")
    async def sell(context: JobContext) -> None:
        try:
            async with context.transaction() as connection:
                await connection.execute("insert into books values ('Emma')")
                inside.set()
                if end == "raise":
                    raise ValueError("no stock")  # noqa: TRY301 - what a handler does
                if end == "lose":
                    # As if the store had given the job to another run.
                    await connection.execute("update conveyor_live set fetch_number = fetch_number + 1")
                else:
                    await anyio.sleep(10)
        except BaseException as exc:
            errors.append(type(exc))
            raise

    async with shop:
        async with shop.worker(shutdown_grace="50ms" if end == "cancel" else "5s"):
            job = await sell.add()
            if end == "cancel":
                await inside.wait()
            else:
                await job.wait_until_finished(timeout="20s")
        assert inside.is_set()
        assert titles(books) == []
        if end == "cancel":
            assert (await job.refresh()).state is JobState.WAITING
            assert await job.attempts() == []
        else:
            assert (await job.refresh()).state is JobState.FAILED
    expected = {"raise": ValueError, "lose": LockLostError}.get(end, anyio.get_cancelled_exc_class())
    assert errors == [expected]


async def test_a_stopped_run_is_handed_back_though_its_rollback_fails(file: Path, books: sqlite3.Connection) -> None:
    script = FaultScript()
    inside = anyio.Event()
    async with open_store(f"sqlite:///{file}") as store:
        app = Conveyor(FaultyStore(store, script))

        @app.queue("till").job()
        async def sell(context: JobContext) -> None:
            async with context.transaction() as connection:
                await connection.execute("insert into books values ('Emma')")
                inside.set()
                await anyio.sleep_forever()

        async with app:
            script.spoil("roll_back", 1)
            async with app.worker(shutdown_grace="50ms"):
                job = await sell.add()
                await inside.wait()
            assert (await job.refresh()).state is JobState.WAITING
            assert await job.attempts() == []
    assert titles(books) == []


async def test_a_run_whose_job_was_cancelled_begins_no_transaction(shop: Conveyor) -> None:
    refused: list[type[Exception]] = []
    job_id = anyio.Event()

    @shop.queue("till").job()
    async def sell(context: JobContext) -> None:
        with anyio.CancelScope(shield=True):
            await shop.jobs.get(context.job.id)
            await shop._services.store.jobs.cancel_job(context.job.id, "no more")
            try:
                async with context.transaction():
                    pass
            except LockLostError as exc:
                refused.append(type(exc))
                job_id.set()

    async with shop, shop.worker():
        await sell.add()
        with anyio.fail_after(10):
            await job_id.wait()
    assert refused == [LockLostError]


async def test_a_transaction_lasts_no_longer_than_a_third_of_the_lock(
    shop: Conveyor, books: sqlite3.Connection
) -> None:
    @shop.queue("till").job()
    async def dawdle(context: JobContext) -> None:
        async with context.transaction() as connection:
            await connection.execute("insert into books values ('Emma')")
            await anyio.sleep(10)

    @shop.queue("till").job()
    async def block(context: JobContext) -> None:
        async with context.transaction() as connection:
            await connection.execute("insert into books values ('Emma')")
            block_loop(0.4)

    @shop.queue("till").job()
    async def compute(context: JobContext) -> None:
        endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
        async with context.transaction() as connection:
            await connection.fetch(endless)

    async with shop, shop.worker(lock_duration="600ms"):
        for handler in (dawdle, block, compute):
            with pytest.raises(JobFailedError, match=r"longer than 0:00:00\.2"):
                await (await handler.add()).result(timeout="10s")
        assert titles(books) == []


@pytest.mark.parametrize("busy_timeout", ["5s", "20ms"])
async def test_long_transactions_lose_no_lock_and_starve_no_renewal(file: Path, busy_timeout: str) -> None:
    """One after another, with hardly a gap: renewals and settlements get their turn in between."""
    app = Conveyor(f"sqlite:///{file}?busy_timeout={busy_timeout}", clock=JumpingClock())
    runs: list[int] = []

    @app.queue("till").job()
    async def sell(context: JobContext, number: int) -> None:
        runs.append(number)
        async with context.transaction():
            await anyio.sleep(0.15)  # half of what it may take

    async with app:
        jobs = await sell.add_many([sell.new(number) for number in range(8)])
        async with app.worker(concurrency=8, lock_duration="900ms", stalled_interval="100ms"):
            for job in jobs:
                await job.wait_until_finished(timeout="20s")
                assert (job.state, job.data.stalled_count) == (JobState.COMPLETED, 0)
    assert sorted(runs) == list(range(8))


async def test_adds_join_the_handlers_transaction(shop: Conveyor) -> None:
    pack_queue = shop.queue("pack")

    @pack_queue.job()
    async def pack(title: str) -> str:
        return title

    @shop.queue("till").job()
    async def sell(context: JobContext, title: str) -> None:
        async with context.transaction() as connection:
            await pack.options(connection=connection).add(title)
            await pack_queue.add_many([pack.new(title)], connection=connection)
            if title == "broken":
                raise ValueError(title)

    async with shop:
        async with shop.worker("till"):
            await (await sell.add("broken")).wait_until_finished(timeout="10s")
            assert await pack_queue.count("waiting") == 0
            await (await sell.add("Emma")).wait_until_finished(timeout="10s")
            assert await pack_queue.count("waiting") == 2
        async with shop.worker("pack"):

            async def is_packed() -> bool:
                return await pack_queue.count("completed") == 2

            await eventually(is_packed)


async def test_misuse_is_refused_and_says_how_to_do_it(shop: Conveyor, file: Path) -> None:
    @shop.queue("till").job()
    def in_thread(context: JobContext) -> None:
        context.transaction()

    @shop.queue("till").job()
    async def nested(context: JobContext) -> None:
        async with context.transaction(), context.transaction():
            pass

    @shop.queue("till").job()
    async def twice(context: JobContext) -> None:
        async with context.transaction():
            pass
        with pytest.raises(ConfigurationError, match="has only one"):
            context.transaction()
        with pytest.raises(ConfigurationError, match="set_result"):
            context.set_result(1)

    @shop.queue("till").job()
    async def no_result(context: JobContext) -> None:
        async with context.transaction():
            with pytest.raises(PayloadError, match="result"):
                context.set_result(object())

    @shop.queue("till").job()
    async def later(context: JobContext) -> None:
        async with context.transaction() as connection:
            pass
        with pytest.raises(StoreError, match="is over"):
            await connection.execute("select 1")

    async with shop, shop.worker():
        for handler, words in ((in_thread, "async handlers"), (nested, "is in its transaction")):
            with pytest.raises(JobFailedError, match=words):
                await (await handler.add()).result(timeout="10s")
        for handler in (twice, no_result, later):
            await (await handler.add()).result(timeout="10s")


async def test_memory_has_no_transactions() -> None:
    app = Conveyor("memory://")
    queue = app.queue("till")

    @queue.job()
    async def sell(context: JobContext) -> None:
        async with context.transaction():
            pass

    async with app, app.worker():
        with pytest.raises(JobFailedError, match="'transactions'"):
            await (await sell.add()).result(timeout="10s")
        for add in (
            queue.add("sell", connection=object()),
            queue.now("sell", connection=object()),
            queue.schedule("1s", "sell", connection=object()),
            sell.options(connection=object()).add(),
            app.flows.add(Flow(sell.new(), [sell.new()]), connection=object()),
        ):
            with pytest.raises(CapabilityError, match="connection="):
                await add


async def test_an_add_in_the_callers_transaction_is_there_when_the_caller_commits(
    shop: Conveyor, books: sqlite3.Connection
) -> None:
    books.row_factory = sqlite3.Row
    queue = shop.queue("till")

    @queue.job()
    async def sell(title: str) -> str:
        return title

    async with shop, shop.worker():
        books.execute("insert into books values ('Emma')")
        gone = await sell.options(connection=books).add("Emma")
        books.rollback()
        with pytest.raises(JobNotFoundError):
            await gone.refresh()
        # None is open now: the first write of the add begins one, as any of the caller's own would.
        kept = await queue.add("sell", {"title": "Emma"}, connection=books)
        (also,) = await sell.add_many([sell.new("Persuasion")], connection=books)
        assert books.in_transaction
        assert await queue.count("completed") == 0
        books.commit()
        assert await kept.result(timeout="10s") == "Emma"
        assert await also.result(timeout="10s") == "Persuasion"


async def test_a_flow_in_the_callers_transaction_is_there_when_the_caller_commits(
    shop: Conveyor, books: sqlite3.Connection
) -> None:
    queue = shop.queue("till")

    @queue.job()
    async def sell(title: str) -> str:
        return title

    @queue.job()
    async def pack(context: JobContext) -> list[str]:
        return [child.value for child in await context.children()]

    async with shop, shop.worker():
        for end in (books.rollback, books.commit):
            books.execute("insert into books values ('Emma')")
            parcel = await shop.flows.add(
                Flow(pack.options(job_id="parcel").new(), [sell.new("Emma"), sell.new("Persuasion")]), connection=books
            )
            with pytest.raises(JobNotFoundError):
                await parcel.refresh()
            end()
            assert titles(books) == (["Emma"] if end == books.commit else [])
            assert await queue.count("completed") == 0
        assert await parcel.result(timeout="10s") == ["Emma", "Persuasion"]
        with pytest.raises(ConfigurationError, match=r"sqlite3\.Connection"):
            await shop.flows.add(Flow(pack.new(), [sell.new("Emma")]), connection="jobs.db")


async def test_a_flow_added_in_a_runs_transaction_is_there_when_that_commits(shop: Conveyor) -> None:
    queue = shop.queue("till")

    @queue.job()
    async def weigh() -> int:
        return 3

    @queue.job()
    async def pack(context: JobContext) -> int:
        return sum([child.value for child in await context.children()])

    @queue.job(attempts=2, backoff=fixed(0))
    async def order(context: JobContext) -> str:
        async with context.transaction() as connection:
            parcel = await shop.flows.add(Flow(pack.new(), [weigh.new()]), connection=connection)
            if context.attempt == 1:
                raise ValueError("out of stock")
            context.set_result(parcel.id)
        return parcel.id

    async with shop, shop.worker():
        parcel_id = await (await order.add()).result(timeout="10s")
        assert await (await shop.jobs.get(parcel_id)).result(timeout="10s") == 3
        assert await queue.count("completed") == 3


async def test_a_connection_that_cannot_be_joined_is_refused_by_name(
    shop: Conveyor, file: Path, tmp_path: Path
) -> None:
    queue = shop.queue("till")
    async with shop:
        with (
            closing(sqlite3.connect(tmp_path / "other.db")) as elsewhere,
            pytest.raises(ConfigurationError, match=r"other\.db"),
        ):
            await queue.add("sell", connection=elsewhere)
        with (
            closing(sqlite3.connect(":memory:")) as in_memory,
            pytest.raises(ConfigurationError, match="in memory"),
        ):
            await queue.add("sell", connection=in_memory)
        with (
            closing(sqlite3.connect(file, isolation_level=None)) as outside,
            pytest.raises(ConfigurationError, match="begin immediate"),
        ):
            await queue.add("sell", connection=outside)
        with pytest.raises(ConfigurationError, match=r"sqlite3\.Connection"):
            await queue.add("sell", connection="jobs.db")
        closed = sqlite3.connect(file)
        closed.close()
        with pytest.raises(ConfigurationError, match="closed"):
            await queue.add("sell", connection=closed)
        assert await queue.count("waiting") == 0


async def test_a_duplicate_leaves_the_callers_transaction_to_the_caller(
    shop: Conveyor, books: sqlite3.Connection
) -> None:
    queue = shop.queue("till")
    async with shop:
        await queue.add("sell", {"title": "Emma"}, job_id="one")
        books.execute("insert into books values ('Emma')")
        with pytest.raises(DuplicateJobError):
            await queue.add("sell", {"title": "Persuasion"}, job_id="one", connection=books)
        books.commit()
        assert titles(books) == ["Emma"]
        assert await queue.count("waiting") == 1


async def test_a_job_made_with_a_connection_is_refused_where_that_would_be_dropped(
    shop: Conveyor, books: sqlite3.Connection
) -> None:
    @shop.queue("orders").job()
    async def pack(title: str) -> None: ...

    joined = pack.options(connection=books)
    async with shop:
        with pytest.raises(ConfigurationError, match=r"'pack' made by new\(\).*add_many\(\) or app.flows.add\(\)"):
            joined.new("Emma")
        with pytest.raises(ConfigurationError, match="connection"):
            joined.options(priority=1).new("Emma")
        books.execute("begin immediate")
        await joined.add("Emma")
        await joined.add_many([pack.new("Persuasion")])
        books.rollback()
        assert await shop.jobs.count() == 0
