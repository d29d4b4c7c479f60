"""What whoever looks after the database does while workers run: dumps that are restored, and indexes made anew."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import psycopg
import pytest
from server import Server, needs_binaries

from conveyor import Conveyor, JobState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conveyor import Job

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS: Final = 30
LOCK_SECONDS: Final = 4
# As docs/how-to/look-after-postgres.md gives it.
WITHOUT: Final = ("events", "event_marks", "events_forgotten", "watchers")
REINDEX: Final = ("reindex table concurrently conveyor.live", "reindex table concurrently conveyor.queues")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with the programs that dump it."""
    needs_binaries()
    server = Server(fsync="off")
    try:
        server.make()
        yield server
    finally:
        server.remove()


def execute(url: str, statements: Sequence[str]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def restore_a_dump(server: Server) -> str:
    """Dump the database, make another of it, and return the URL of that."""
    execute(server.url, ["drop database if exists restored with (force)", "create database restored"])
    restored = f"{server.url.rpartition('/')[0]}/restored"
    excluded = [f"--exclude-table-data=conveyor.{table}" for table in WITHOUT]
    dump = subprocess.run([str(server.binaries / "pg_dump"), *excluded, server.url], capture_output=True, check=True)
    load = [str(server.binaries / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", restored]
    subprocess.run(load, input=dump.stdout, capture_output=True, check=True)
    return restored


def make_app(url: str, ran: list[int], *, is_hanging: bool) -> tuple[Conveyor, anyio.Event]:
    """Return an app whose first job hangs, or does not, and what is set once it began."""
    app = Conveyor(url)
    began = anyio.Event()

    @app.queue("orders").job()
    async def pack(number: int) -> None:
        ran.append(number)
        began.set()
        if is_hanging:
            await anyio.sleep_forever()

    return app, began


async def test_a_dump_of_a_busy_store_goes_on_where_it_was_taken(server: Server) -> None:
    here: list[int] = []
    app, began = make_app(server.url, here, is_hanging=True)
    async with app:
        jobs = [await app.queue("orders").add("pack", {"number": number}) for number in (1, 2)]
        with anyio.fail_after(DEADLINE_SECONDS):
            async with app.worker("orders", concurrency=1, lock_duration=LOCK_SECONDS, shutdown_grace=0):
                await began.wait()
                restored = await anyio.to_thread.run_sync(restore_a_dump, server)
    there: list[int] = []
    app, _ = make_app(f"{restored}?auto_migrate=false", there, is_hanging=False)
    async with app, app.worker("orders"):
        for job in jobs:
            found = await app.jobs.get(job.id)
            await found.wait_until_finished(timeout=DEADLINE_SECONDS)
            assert (await found.refresh()).state is JobState.COMPLETED
        outcomes = [attempt.outcome for attempt in await (await app.jobs.get(jobs[0].id)).attempts()]
    assert (here, sorted(there), outcomes) == ([1], [1, 2], ["stalled", "completed"])


async def test_indexes_are_made_anew_while_workers_run(server: Server) -> None:
    ran: list[int] = []
    jobs: list[Job[Any]] = []
    app, _ = make_app(server.url, ran, is_hanging=False)
    async with app:
        queue = app.queue("orders")
        # The hanging job of another test was handed back.
        await queue.drain()
    async with app, app.worker("orders"):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, execute, server.url, REINDEX)
            jobs += [await queue.add("pack", {"number": number}) for number in range(50)]
        for job in jobs:
            await job.wait_until_finished(timeout=DEADLINE_SECONDS)
    assert sorted(ran) == list(range(50))
