"""Jobs that stalled once: they run alone, take no neighbours with them, and wait no longer than they must."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, JobState
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import Job

pytestmark = pytest.mark.anyio

BRIEF = timedelta(milliseconds=1)


async def let_a_worker_die(app: Conveyor, count: int) -> None:
    """Fetch so many jobs as a worker does that is killed then; the next look reclaims them."""
    store = app._services.store
    dead = f"{count:032}"
    await store.sessions.open(SessionInfo(dead, "nowhere", 1, "none"), BRIEF)
    assert len(await store.jobs.fetch_jobs([Want("work", count)], dead, BRIEF, fetch_number=1)) == count
    await anyio.sleep(0.01)
    assert len(await store.jobs.reclaim_stalled_jobs(3)) == count


async def states(jobs: Sequence[Job[Any]]) -> list[JobState]:
    """Look at the jobs."""
    return [(await job.refresh()).state for job in jobs]


async def test_a_suspect_runs_while_the_worker_is_otherwise_empty(app: Conveyor) -> None:
    running: list[int] = []
    beside_suspects: list[int] = []

    @app.queue("work").job()
    async def note(number: int) -> None:
        running.append(number)
        await anyio.sleep(0.005)
        if number < 3:
            beside_suspects.append(len(running))
        running.remove(number)

    async with app:
        jobs = await note.add_many([note.new(number) for number in range(3)])
        await let_a_worker_die(app, 3)
        jobs += await note.add_many([note.new(number) for number in range(3, 40)])
        async with app.worker(concurrency=5, stalled_interval="20ms"):
            for job in jobs:
                await job.wait_until_finished(timeout="20s")
        assert beside_suspects == [1, 1, 1]
        assert [job.data.stalled_count for job in jobs[:4]] == [1, 1, 1, 0]


async def test_a_job_that_kills_its_worker_takes_no_neighbours_with_it_again(app: Conveyor) -> None:
    @app.queue("work").job()
    async def note() -> None: ...

    async with app:
        store = app._services.store
        jobs = await note.add_many([note.new() for _ in range(6)])
        await let_a_worker_die(app, 3)
        for turn in range(2):
            # What a worker is given together with a suspect, or while it holds one, dies with it.
            session = SessionInfo(f"{turn:032x}", "nowhere", 1, "none")
            await store.sessions.open(session, BRIEF)
            (suspect,) = await store.jobs.fetch_jobs(
                [Want("work", 9, is_suspect=True)], session.id, BRIEF, fetch_number=1
            )
            assert suspect.id == jobs[0].id
            await anyio.sleep(0.01)
            assert [job.id for job in await store.jobs.reclaim_stalled_jobs(3)] == [jobs[0].id]
        for job in jobs:
            await job.refresh()
        assert [job.data.stalled_count for job in jobs] == [3, 1, 1, 0, 0, 0]


async def test_a_stream_of_other_jobs_keeps_no_suspect_waiting(app: Conveyor) -> None:
    @app.queue("work").job()
    async def note() -> None:
        await anyio.sleep(0.001)

    async with app, anyio.create_task_group() as tasks:
        suspects = await note.add_many([note.new() for _ in range(2)])
        await let_a_worker_die(app, 2)

        async def stream() -> None:
            while True:
                await note.add_many([note.new() for _ in range(20)])
                await anyio.sleep(0.005)

        tasks.start_soon(stream)
        async with app.worker(concurrency=4):
            for suspect in suspects:
                await suspect.result(timeout="20s")
            tasks.cancel_scope.cancel()


async def test_suspects_keep_no_other_job_waiting(app: Conveyor) -> None:
    ran: list[int] = []

    @app.queue("work").job()
    async def note(number: int) -> None:
        ran.append(number)

    async with app:
        jobs = await note.add_many([note.new(number) for number in range(4)])
        await let_a_worker_die(app, 4)
        async with app.worker(concurrency=2):
            await jobs[0].result(timeout="20s")
            await (await note.add(9)).result(timeout="20s")
            for job in jobs:
                await job.result(timeout="20s")
        assert ran.index(9) < 4


async def test_a_worker_with_a_long_job_leaves_the_suspect_to_an_idle_one(app: Conveyor) -> None:
    started, release = anyio.Event(), anyio.Event()

    @app.queue("work").job()
    async def hold() -> None:
        started.set()
        await release.wait()

    @app.queue("work").job()
    async def note() -> str:
        return "ran"

    async with app:
        suspect = await note.add()
        await let_a_worker_die(app, 1)
        await app.queue("work").pause("note")
        async with app.worker(concurrency=2):
            held = await hold.add()
            await started.wait()
            await app.queue("work").resume("note")
            async with app.worker(concurrency=2):
                assert await suspect.result(timeout="20s") == "ran"
                assert await (await note.add()).result(timeout="20s") == "ran"
            release.set()
            await held.result(timeout="20s")


async def test_a_suspect_waits_for_running_jobs_and_then_runs(app: Conveyor) -> None:
    started, release = anyio.Event(), anyio.Event()

    @app.queue("work").job()
    async def hold() -> None:
        started.set()
        await release.wait()

    @app.queue("work").job()
    async def note() -> str:
        return "ran"

    async with app:
        suspect = await note.add()
        await let_a_worker_die(app, 1)
        await app.queue("work").pause("note")
        async with app.worker(concurrency=2):
            await hold.add()
            await started.wait()
            await app.queue("work").resume("note")
            await anyio.sleep(0.4)
            assert await states([suspect]) == [JobState.WAITING]
            release.set()
            assert await suspect.result(timeout="20s") == "ran"


async def test_stopping_a_worker_that_makes_room_for_a_suspect_takes_no_longer(app: Conveyor) -> None:
    started = anyio.Event()

    @app.queue("work").job()
    async def hold() -> None:
        started.set()
        await anyio.sleep_forever()

    @app.queue("work").job()
    async def note() -> None: ...

    async with app:
        suspect = await note.add()
        await let_a_worker_die(app, 1)
        await app.queue("work").pause("note")
        async with app.worker(concurrency=2, shutdown_grace="20ms"):
            held = await hold.add()
            await started.wait()
            await app.queue("work").resume("note")
            await anyio.sleep(0.4)

        async def both_wait() -> bool:
            return await states([suspect, held]) == [JobState.WAITING, JobState.WAITING]

        await eventually(both_wait)
