"""Behind PgBouncer in its transaction mode, and without LISTEN at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import psycopg
import pytest
from conveyor_plugin_postgres.options import parse_url
from facets import needed
from pooler import Pooler

from conveyor import Conveyor, JobContext
from conveyor.errors import ConfigurationError, InvalidJobStateError, StoreError, StoreUnavailableError
from conveyor.model.events import NotificationKind
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.testing import open_store
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.concurrency import ConcurrencyConformance
from conveyor.testing.conformance.schema import SchemaConformance
from conveyor.testing.conformance.settling import SettlingConformance
from conveyor.testing.conformance.transactions import TransactionsConformance
from conveyor.testing.conformance.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS: Final = 30
JOBS: Final = 40
JOB: Final = NewJob("a", "orders", "pack", b"{}", JobOptions())
# More at once than the pooler has connections.
AT_ONCE: Final = 8


class TestBehindAPooler(
    SettlingConformance,
    TransactionsConformance,
    ConcurrencyConformance,
    SchemaConformance,
):
    """What could go wrong where each transaction meets another connection of the server."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The pooler does not know who asks; the tests below ask from both."""
        return "asyncio"

    @pytest.fixture
    def store_url(self, listening_url: str) -> str:
        """An empty schema, whose time is that of the test."""
        return f"{listening_url}&clock=app"


@pytest.fixture
def packed(empty_url: str) -> Iterator[str]:
    """A table that handlers write to; the URL of its database, for who looks."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("drop table if exists packed; create table packed (number integer, place integer)")
        yield empty_url
        connection.execute("drop table packed")


async def run_jobs(url: str, packed: str) -> None:
    """Run more jobs at once than there are connections, every second of them in a transaction."""
    app = Conveyor(url)
    queue = app.queue("orders")
    runs: list[int] = []
    is_done = anyio.Event()

    @queue.job()
    async def pack(context: JobContext, number: int) -> None:
        if number % 2:
            async with context.transaction() as connection:
                rows = [(number, place) for place in range(3)]
                assert await connection.executemany("insert into packed values ($1, $2)", rows) == 3
                row = await connection.fetchrow("select count(*) from packed where number = $1", number)
                assert row == {"count": 3}
        runs.append(number)
        if len(runs) == JOBS:
            is_done.set()

    async with app:
        async with app.worker("orders", concurrency=AT_ONCE, poll_interval="100ms"):
            await pack.add(0)
            await pack.add_many([pack.new(number) for number in range(1, JOBS)])
            with anyio.fail_after(DEADLINE_SECONDS):
                await is_done.wait()
        assert await queue.count("completed") == JOBS
    assert sorted(runs) == list(range(JOBS))
    with psycopg.connect(packed) as connection:
        assert connection.execute("select count(*) from packed").fetchone() == (3 * JOBS / 2,)


async def test_a_worker_behind_a_pooler_polls(pooled_url: str, packed: str) -> None:
    assert parse_url(pooled_url).is_listening is False
    await run_jobs(pooled_url, packed)


async def test_a_worker_behind_a_pooler_may_listen_past_it(listening_url: str, packed: str) -> None:
    await run_jobs(listening_url, packed)


async def test_a_worker_runs_without_any_notification(packed: str) -> None:
    await run_jobs(f"{packed}?notify=false", packed)


async def test_who_adds_behind_a_pooler_wakes_those_who_listen(pooled_url: str, empty_url: str) -> None:
    async with open_store(pooled_url) as store, open_store(empty_url) as listening:
        assert store.notifier is None
        assert not store.capabilities.has_notifications
        async with needed(listening.notifier).subscribe("orders") as hints:
            await store.jobs.save_job(JOB)
            with anyio.fail_after(DEADLINE_SECONDS):
                assert (await anext(aiter(hints))).kind is NotificationKind.ADDED


async def test_many_stores_share_the_few_connections_of_a_pooler(pooled_url: str) -> None:
    async def add(first: int) -> None:
        async with open_store(pooled_url) as store, anyio.create_task_group() as tasks:
            for number in range(first, first + 20):
                job = NewJob(f"{number}", "orders", "pack", b"{}", JobOptions())
                tasks.start_soon(store.jobs.save_job, job)
                tasks.start_soon(store.jobs.find_job, f"{number}")
                tasks.start_soon(store.queues.get_job_counts, "orders")

    with anyio.fail_after(DEADLINE_SECONDS):
        async with anyio.create_task_group() as tasks:
            for place in range(4):
                tasks.start_soon(add, place * 20)
    async with open_store(pooled_url) as store:
        assert sum((await store.queues.get_job_counts("orders")).values()) == 80


async def test_a_statement_behind_a_pooler_is_stopped_by_the_server(
    pooled_url: str, pooler: Pooler, empty_url: str
) -> None:
    async with open_store(f"{pooled_url}&timeout=2s") as store:
        with psycopg.connect(empty_url) as other:
            other.execute("lock table conveyor.live")
            with anyio.fail_after(DEADLINE_SECONDS), pytest.raises(StoreUnavailableError, match="statement timeout"):
                await store.jobs.save_job(JOB)
        assert await store.jobs.find_job("a") is None
        await store.jobs.save_job(JOB)
        # The limit ended with its transaction: whoever has the server's connection next keeps his own.
        with psycopg.connect(pooler.url, prepare_threshold=None) as next_one:
            assert next_one.execute("show statement_timeout").fetchone() == ("0",)


async def test_an_operation_that_is_refused_midway_leaves_a_pooled_connection_clean(
    pooled_url: str, pooler: Pooler
) -> None:
    clock = ManualClock()
    async with open_store(f"{pooled_url}&clock=app", clock=clock) as store:
        await Workshop(store, clock).fetched("a")
        for _ in range(AT_ONCE):
            with pytest.raises(InvalidJobStateError):
                await store.jobs.remove_job("a")
            assert await store.jobs.find_job("a") is not None
        with psycopg.connect(pooler.url, prepare_threshold=None) as other:
            rows = other.execute("select count(*) from pg_stat_activity where state like 'idle in transaction%'")
            assert rows.fetchone() == (0,)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_pooler_that_nobody_told_of_is_named(pooler: Pooler) -> None:
    with pytest.raises(StoreError, match="add pooler=transaction") as refused:
        async with open_store(pooler.url):
            pass
    assert not isinstance(refused.value, StoreUnavailableError), "trying again would not help"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("pooler=session", "none, transaction"),
        ("notify=maybe", "true, false"),
        ("direct=db.example.org:5432", "takes pooler=transaction"),
        ("pooler=transaction&notify=false&direct=db.example.org", "no notify=false"),
        ("pooler=transaction&direct=me@db.example.org", "host or host:port"),
        ("pooler=transaction&direct=db.example.org:port", "host or host:port"),
    ],
)
def test_options_that_do_not_fit_are_refused(query: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_url(f"postgresql://me@pooler.example.org/shop?{query}")


@pytest.mark.parametrize(
    ("given", "listens_at"),
    [
        (
            "postgresql://me:secret@pooler:6432/shop?pooler=transaction&direct=db:5432&sslmode=require",
            "postgresql://me:secret@db:5432/shop?sslmode=require",
        ),
        (
            "postgresql:///shop?host=pooler&port=6432&user=me&pooler=transaction&direct=[::1]",
            "postgresql://[::1]/shop?user=me",
        ),
    ],
)
def test_the_connection_that_listens_differs_in_the_address_alone(given: str, listens_at: str) -> None:
    options = parse_url(given).without_pooler()
    assert options.dsn == listens_at
    assert not options.is_pooled
