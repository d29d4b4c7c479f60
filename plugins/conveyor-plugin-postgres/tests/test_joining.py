"""Adds inside transactions of callers: of every driver and library that can be given as connection=."""

from __future__ import annotations

import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import anyio
import asyncpg
import psycopg
import pytest
import sqlalchemy
import sqlalchemy.ext.asyncio
import sqlalchemy.orm
import trio_asyncio
from attrs import evolve
from facets import needed
from psycopg.rows import DictRow, dict_row

from conveyor.errors import ConfigurationError, StoreError, StoreUnavailableError
from conveyor.model.deduplication import Deduplication
from conveyor.model.events import NotificationKind
from conveyor.model.flows import Flow, plan_flow
from conveyor.model.groups import Group
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.queries import Added
from conveyor.model.states import JobState
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from conveyor.contracts.store import Store
    from conveyor.model.flows import FlowPlan

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS: Final = 10
QUEUE: Final = "default"
# psycopg and asyncpg, as SQLAlchemy names them.
SYNC: Final = "postgresql+psycopg"
ASYNC: Final = ("postgresql+psycopg", "postgresql+asyncpg")


Execute: TypeAlias = "Callable[[str], Any]"


class Way(NamedTuple):
    """A connection of one kind, within a transaction, and how its owner ends it."""

    connection: Any
    commit: Callable[[], Any]
    rollback: Callable[[], Any]
    execute: Execute


def by_bytes(connection: Any) -> Execute:
    """Run SQL that is not written out in the program, which psycopg's types want to be bytes."""
    return lambda sql: connection.execute(sql.encode())


def by_text(session: Any) -> Execute:
    """Run SQL in a session of SQLAlchemy."""
    return lambda sql: session.execute(sqlalchemy.text(sql))


@asynccontextmanager
async def in_asyncpg(url: str) -> AsyncIterator[Way]:
    connection = await asyncpg.connect(url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        yield Way(connection, transaction.commit, transaction.rollback, connection.execute)
    finally:
        await connection.close()


@asynccontextmanager
async def in_asyncpg_pool(url: str) -> AsyncIterator[Way]:
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool, pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        yield Way(connection, transaction.commit, transaction.rollback, connection.execute)


@asynccontextmanager
async def in_psycopg(url: str) -> AsyncIterator[Way]:
    with psycopg.Connection[DictRow].connect(url, row_factory=dict_row) as connection:
        yield Way(connection, connection.commit, connection.rollback, by_bytes(connection))


@asynccontextmanager
async def in_psycopg_async(url: str) -> AsyncIterator[Way]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield Way(connection, connection.commit, connection.rollback, by_bytes(connection))


def alchemy_url(url: str, driver: str) -> str:
    return url.replace("postgresql", driver, 1)


@contextmanager
def engine_of(url: str) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine(alchemy_url(url, SYNC))
    try:
        yield engine
    finally:
        engine.dispose()


@asynccontextmanager
async def in_alchemy(url: str) -> AsyncIterator[Way]:
    with engine_of(url) as engine, engine.connect() as connection:
        yield Way(connection, connection.commit, connection.rollback, connection.exec_driver_sql)


@asynccontextmanager
async def in_alchemy_session(url: str) -> AsyncIterator[Way]:
    with engine_of(url) as engine, sqlalchemy.orm.Session(engine) as session:
        yield Way(session, session.commit, session.rollback, by_text(session))


@asynccontextmanager
async def in_alchemy_scoped_session(url: str) -> AsyncIterator[Way]:
    with engine_of(url) as engine:
        session = sqlalchemy.orm.scoped_session(sqlalchemy.orm.sessionmaker(engine))
        try:
            yield Way(session, session.commit, session.rollback, by_text(session))
        finally:
            session.remove()


@asynccontextmanager
async def async_engine_of(url: str, driver: str) -> AsyncIterator[sqlalchemy.ext.asyncio.AsyncEngine]:
    engine = sqlalchemy.ext.asyncio.create_async_engine(alchemy_url(url, driver))
    try:
        yield engine
    finally:
        await engine.dispose()


def in_async_alchemy(driver: str) -> Any:
    @asynccontextmanager
    async def opened(url: str) -> AsyncIterator[Way]:
        async with async_engine_of(url, driver) as engine, engine.connect() as connection:
            yield Way(connection, connection.commit, connection.rollback, connection.exec_driver_sql)

    return opened


def in_async_alchemy_session(driver: str) -> Any:
    @asynccontextmanager
    async def opened(url: str) -> AsyncIterator[Way]:
        async with async_engine_of(url, driver) as engine, sqlalchemy.ext.asyncio.AsyncSession(engine) as session:
            yield Way(session, session.commit, session.rollback, by_text(session))

    return opened


SYNC_WAYS: Final = {
    "psycopg": in_psycopg,
    "sqlalchemy": in_alchemy,
    "sqlalchemy-session": in_alchemy_session,
    "sqlalchemy-scoped-session": in_alchemy_scoped_session,
}
ASYNC_WAYS: Final = {
    "asyncpg": in_asyncpg,
    "asyncpg-pool": in_asyncpg_pool,
    "psycopg-async": in_psycopg_async,
    **{f"sqlalchemy-async-{driver[11:]}": in_async_alchemy(driver) for driver in ASYNC},
    **{f"sqlalchemy-async-session-{driver[11:]}": in_async_alchemy_session(driver) for driver in ASYNC},
}
BACKENDS: Final = ("asyncio", "trio")
WAYS: Final = [
    *(pytest.param(way, backend, id=f"{backend}-{name}") for name, way in SYNC_WAYS.items() for backend in BACKENDS),
    *(pytest.param(way, "asyncio", id=f"asyncio-{name}") for name, way in ASYNC_WAYS.items()),
]


async def done(answer: Any) -> Any:
    """Wait for what is async."""
    return await answer if hasattr(answer, "__await__") else answer


def new(job_id: str) -> NewJob:
    return NewJob(job_id, QUEUE, "pack", b"{}", JobOptions())


@pytest.fixture
async def store(empty_url: str) -> AsyncIterator[Store]:
    async with open_store(empty_url) as store:
        yield store


@pytest.mark.parametrize(("way", "anyio_backend"), WAYS)
async def test_jobs_appear_and_wake_at_the_commit(store: Store, empty_url: str, way: Any) -> None:
    async with needed(store.notifier).subscribe(QUEUE) as hints, way(empty_url) as given:
        receipts = await store.jobs.save_jobs_in(given.connection, [new("a"), new("b")])
        assert [receipt.outcome for receipt in receipts] == [Added.ADDED, Added.ADDED]
        assert await store.queues.count_jobs(QUEUE, JobState.WAITING) == 0
        await done(given.commit())
        with anyio.fail_after(DEADLINE_SECONDS):
            hint = await anext(aiter(hints))
        assert (hint.kind, hint.queue_name) == (NotificationKind.ADDED, QUEUE)
        assert await store.queues.count_jobs(QUEUE, JobState.WAITING) == 2


@pytest.mark.parametrize(("way", "anyio_backend"), WAYS)
async def test_a_rollback_leaves_no_job_and_wakes_nobody(store: Store, empty_url: str, way: Any) -> None:
    async with needed(store.notifier).subscribe() as hints, way(empty_url) as given:
        await store.jobs.save_jobs_in(given.connection, [new("a")])
        await done(given.rollback())
        # Hints arrive in the order of commits: this one would come after that of the rollback.
        await publish_behind(empty_url)
        with anyio.fail_after(DEADLINE_SECONDS):
            hint = await anext(aiter(hints))
        assert hint.queue_name == "behind"
        assert await store.queues.count_jobs(QUEUE, JobState.WAITING) == 0


def flow() -> FlowPlan:
    return plan_flow(Flow(new("top"), [Flow(new("middle"), [new("a")]), new("b")]))


@pytest.mark.parametrize(("way", "anyio_backend"), WAYS)
async def test_a_flow_appears_and_wakes_at_the_commit(store: Store, empty_url: str, way: Any) -> None:
    flows = needed(store.flows)
    async with needed(store.notifier).subscribe(QUEUE) as hints, way(empty_url) as given:
        for _ in range(2):  # the same again, as after a lost answer
            receipts = await flows.save_flow_in(given.connection, flow())
            assert {receipt.outcome for receipt in receipts} == {Added.ADDED}
        assert await store.queues.count_jobs(QUEUE, JobState.WAITING) == 0
        await done(given.commit())
        with anyio.fail_after(DEADLINE_SECONDS):
            hint = await anext(aiter(hints))
        assert (hint.kind, hint.queue_name) == (NotificationKind.ADDED, QUEUE)
        assert await store.queues.count_jobs(QUEUE, JobState.WAITING) == 2
        assert await store.queues.count_jobs(QUEUE, JobState.WAITING_CHILDREN) == 2


@pytest.mark.parametrize(("way", "anyio_backend"), WAYS)
async def test_a_rollback_leaves_nothing_of_a_flow(store: Store, empty_url: str, way: Any) -> None:
    async with way(empty_url) as given:
        await needed(store.flows).save_flow_in(given.connection, flow())
        await done(given.rollback())
    assert await store.jobs.find_jobs(["top", "middle", "a", "b"]) == {}
    assert await needed(store.flows).get_children("top") == []


@pytest.mark.parametrize(("way", "anyio_backend"), WAYS)
async def test_jobs_with_keys_and_jobs_of_groups_with_a_size_join_in_one_call(
    store: Store, empty_url: str, way: Any
) -> None:
    small = JobOptions(group=Group("small", max_size=1))
    key = Deduplication(key="k")
    jobs = [
        new("plain"),
        evolve(new("sized"), options=small),
        evolve(new("keyed"), deduplication=key),
        evolve(new("full"), options=small),
        evolve(new("met"), options=small, deduplication=key),
        evolve(new("both"), options=small, deduplication=Deduplication(key="other")),
    ]
    async with way(empty_url) as given:
        receipts = await store.jobs.save_jobs_in(given.connection, jobs)
        assert [(receipt.job_id, receipt.outcome) for receipt in receipts] == [
            ("plain", Added.ADDED),
            ("sized", Added.ADDED),
            ("keyed", Added.ADDED),
            ("full", Added.GROUP_FULL),
            ("keyed", Added.KEPT),
            ("both", Added.GROUP_FULL),
        ]
        await done(given.commit())
    assert sorted(await store.jobs.find_jobs([job.id for job in jobs])) == ["keyed", "plain", "sized"]


async def test_what_joins_in_several_statements_leaves_nothing_where_one_fails(store: Store, empty_url: str) -> None:
    broken = evolve(new("b\x00"), options=JobOptions(group=Group("small", max_size=9)))
    keyed = evolve(new("a"), deduplication=Deduplication(key="k"))
    async with in_psycopg(empty_url) as given:
        with pytest.raises(StoreError):
            await store.jobs.save_jobs_in(given.connection, [keyed, broken])
        await store.jobs.save_jobs_in(given.connection, [new("c")])
        given.commit()
    assert sorted(await store.jobs.find_jobs(["a", "b", "c"])) == ["c"]


@pytest.mark.parametrize(("way", "anyio_backend"), WAYS)
async def test_a_flow_whose_id_is_taken_leaves_the_callers_transaction_as_it_was(
    store: Store, empty_url: str, way: Any
) -> None:
    await store.jobs.save_jobs([new("b")])
    async with way(empty_url) as given:
        receipts = await needed(store.flows).save_flow_in(given.connection, flow())
        assert [receipt.job_id for receipt in receipts if receipt.outcome is Added.DUPLICATE] == ["b"]
        await store.jobs.save_jobs_in(given.connection, [new("c")])
        await done(given.commit())
    assert sorted(await store.jobs.find_jobs(["top", "middle", "a", "b", "c"])) == ["b", "c"]


async def test_a_flow_that_is_not_committed_keeps_no_other_flow_waiting(store: Store, empty_url: str) -> None:
    flows = needed(store.flows)
    await store.jobs.save_jobs([new("before")])  # a queue's first job makes the queue, for which all others wait
    async with in_psycopg(empty_url) as given:
        await flows.save_flow_in(given.connection, flow())
        with anyio.fail_after(DEADLINE_SECONDS):
            await flows.save_flow(plan_flow(Flow(new("other"), [new("part")])))
            await store.jobs.remove_job("part")  # what tells of any flow
            assert (await store.jobs.find_jobs(["other"]))["other"].state is JobState.FAILED
        given.rollback()


async def test_who_adds_the_same_flow_waits_for_the_one_who_was_first(store: Store, empty_url: str) -> None:
    flows = needed(store.flows)
    receipts: list[Added] = []

    async def add_too() -> None:
        receipts.extend(receipt.outcome for receipt in await flows.save_flow(flow()))

    async with in_psycopg(empty_url) as given, anyio.create_task_group() as tasks:
        await flows.save_flow_in(given.connection, flow())
        tasks.start_soon(add_too)
        await until_one_waits(empty_url)
        assert receipts == []
        given.commit()
    assert receipts == [Added.ADDED] * 4
    # Nothing was linked twice: one end of each lets the parents go on.
    assert [child.job_id for child in await flows.get_children("top")] == ["middle", "b"]
    assert await store.queues.count_jobs(QUEUE, JobState.WAITING_CHILDREN) == 2


async def until_one_waits(url: str) -> None:
    """Return once somebody waits for a lock in the database."""
    with psycopg.connect(url, autocommit=True) as connection, anyio.fail_after(DEADLINE_SECONDS):
        waiting = "select count(*) from pg_locks where not granted"
        while connection.execute(waiting).fetchone() == (0,):  # noqa: ASYNC110 - nobody tells of a lock
            await anyio.sleep(0.01)


async def publish_behind(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("""select pg_notify('conveyor.hints', '- [["added", "behind", ""]]')""")


@pytest.mark.parametrize(("way", "anyio_backend"), WAYS)
async def test_the_add_takes_part_in_the_callers_own_transaction(store: Store, empty_url: str, way: Any) -> None:
    async with way(empty_url) as given:
        await done(given.execute("create temporary table sales (title text) on commit preserve rows"))
        await store.jobs.save_jobs_in(given.connection, [new("a")])
        # The same again, as after a lost answer; and one that differs.
        again = NewJob("a", QUEUE, "ship", b"{}", new("a").options)
        receipts = await store.jobs.save_jobs_in(given.connection, [new("a"), again])
        assert [receipt.outcome for receipt in receipts] == [Added.ADDED, Added.DUPLICATE]
        await done(given.execute("insert into sales values ('Emma')"))
        await done(given.commit())
    assert await store.queues.count_jobs(QUEUE, JobState.WAITING) == 1


@pytest.mark.parametrize(("way", "anyio_backend"), WAYS)
async def test_another_database_is_refused_and_the_transaction_goes_on(store: Store, other_url: str, way: Any) -> None:
    async with way(other_url) as given:
        await done(given.execute("create table if not exists sales (title text)"))
        with pytest.raises(ConfigurationError, match="another database"):
            await store.jobs.save_jobs_in(given.connection, [new("a")])
        await done(given.execute("insert into sales values ('Emma')"))
        await done(given.commit())
    with psycopg.connect(other_url) as connection:
        assert connection.execute("select count(*) from sales").fetchone() == (1,)
        connection.execute("drop table sales")
        if connection.execute("select to_regclass('conveyor.live')").fetchone() != (None,):
            assert connection.execute("select count(*) from conveyor.live").fetchone() == (0,)


@pytest.fixture(params=["without-conveyor", "with-conveyor"])
async def other_url(request: pytest.FixtureRequest, server_url: str) -> AsyncIterator[str]:
    """Another database of the same server, with a store of its own, or without."""
    name = f"other_{request.param.replace('-', '_')}"
    url = f"{server_url.rpartition('/')[0]}/{name}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)".encode())
        connection.execute(f"create database {name}".encode())
    if request.param == "with-conveyor":
        async with open_store(url):
            pass
    yield url
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


async def test_without_a_transaction_an_add_is_refused(store: Store, empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        with pytest.raises(ConfigurationError, match="no transaction"):
            await store.jobs.save_jobs_in(connection, [new("a")])
        with connection.transaction():
            await store.jobs.save_jobs_in(connection, [new("b")])
    engine = sqlalchemy.create_engine(alchemy_url(empty_url, SYNC), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, pytest.raises(ConfigurationError, match="no transaction"):
        await store.jobs.save_jobs_in(connection, [new("c")])
    engine.dispose()
    assert [job.id for job in await store.queues.list_jobs(QUEUE, JobState.WAITING)] == ["b"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("driver", ASYNC)
async def test_without_a_transaction_an_async_add_is_refused(store: Store, empty_url: str, driver: str) -> None:
    connection = await asyncpg.connect(empty_url)
    with pytest.raises(ConfigurationError, match="no transaction"):
        await store.jobs.save_jobs_in(connection, [new("a")])
    await connection.close()
    engine = sqlalchemy.ext.asyncio.create_async_engine(alchemy_url(empty_url, driver), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        with pytest.raises(ConfigurationError, match="no transaction"):
            await store.jobs.save_jobs_in(connection, [new("b")])
    with pytest.raises(ConfigurationError, match="no transaction"):
        await store.jobs.save_jobs_in(engine.connect(), [new("c")])
    await engine.dispose()
    assert await store.queues.count_jobs(QUEUE, JobState.WAITING) == 0


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_an_asyncpg_connection_of_a_loop_within_trios_can_be_joined(store: Store, empty_url: str) -> None:
    async with trio_asyncio.open_loop():
        connection = await trio_asyncio.aio_as_trio(asyncpg.connect)(empty_url)
        transaction = connection.transaction()
        await trio_asyncio.aio_as_trio(transaction.start)()
        await store.jobs.save_jobs_in(connection, [new("a")])
        assert await store.queues.count_jobs(QUEUE, JobState.WAITING) == 0
        await trio_asyncio.aio_as_trio(transaction.commit)()
        assert await store.queues.count_jobs(QUEUE, JobState.WAITING) == 1
        await trio_asyncio.aio_as_trio(connection.close)()


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_what_only_asyncio_can_await_is_refused(store: Store, empty_url: str) -> None:
    engine = sqlalchemy.ext.asyncio.create_async_engine(alchemy_url(empty_url, ASYNC[0]))
    with pytest.raises(ConfigurationError, match="on asyncio only"):
        await store.jobs.save_jobs_in(engine.connect(), [new("a")])


async def test_anything_else_is_refused(store: Store) -> None:
    with pytest.raises(ConfigurationError, match=r"got a builtins\.object"):
        await store.jobs.save_jobs_in(object(), [new("a")])


async def test_a_transaction_that_is_broken_or_gone_says_so(store: Store, empty_url: str) -> None:
    with psycopg.connect(empty_url) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("select * from nowhere")
        with pytest.raises(StoreError, match="aborted"):
            await store.jobs.save_jobs_in(connection, [new("a")])
        connection.rollback()
        pid = connection.info.backend_pid
        connection.execute("select 1")
        with psycopg.connect(empty_url) as other:
            other.execute("select pg_terminate_backend(%s, 5000)", [pid])
        with pytest.raises(StoreUnavailableError):
            await store.jobs.save_jobs_in(connection, [new("a")])
    assert await store.queues.count_jobs(QUEUE, JobState.WAITING) == 0


def test_no_library_is_imported_for_a_connection_of_another(empty_url: str) -> None:
    program = """
import asyncio, sys
import asyncpg
from conveyor import Conveyor

async def main():
    app = Conveyor(sys.argv[1])
    connection = await asyncpg.connect(sys.argv[1])
    async with app:
        async with connection.transaction():
            await app.queue("orders").add("pack", {}, connection=connection)
        assert await app.queue("orders").count("waiting") == 1
    await connection.close()
    print({"psycopg", "sqlalchemy", "trio_asyncio"} & set(sys.modules))

asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-c", program, empty_url], capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("set()", 0), ran.stderr
