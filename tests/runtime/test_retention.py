"""The retention pass goes on until nothing is left to remove, and its loop until the store can be reached."""

from __future__ import annotations

import pytest

from conveyor import Conveyor, JobState, Retention
from conveyor._services.maintenance.retain import CHUNK, remove_outdated_jobs
from conveyor.testing.faults import FaultKind, FaultScript, FaultyStore
from conveyor.testing.stores import open_store
from tests.eventually import eventually

pytestmark = pytest.mark.anyio


async def test_the_pass_removes_chunk_after_chunk_until_one_is_not_full() -> None:
    async with open_store("memory://") as store:
        counted = FaultyStore(store)
        app = Conveyor(counted)
        queue = app.queue("work")
        async with app:
            for job in await queue.add_many([queue.new("note") for _ in range(2 * CHUNK + 6)]):
                await job.cancel()
            assert await remove_outdated_jobs(counted, ["work"], Retention(max_count=5)) == 2 * CHUNK + 1
            assert counted.calls["remove_outdated_jobs"] == 3
            assert await queue.count(JobState.CANCELLED) == 5
            assert await remove_outdated_jobs(counted, ["work"], Retention(max_count=5)) == 0
            assert counted.calls["remove_outdated_jobs"] == 4


@pytest.mark.parametrize("kind", [FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER])
async def test_a_worker_whose_pass_fails_tries_again(kind: FaultKind) -> None:
    async with open_store("memory://") as store:
        script = FaultScript()
        app = Conveyor(FaultyStore(store, script), retention=Retention(max_count=1))

        ran: list[int] = []

        @app.queue("work").job()
        async def note(number: int) -> None:
            ran.append(number)

        async with app:
            await note.add_many([note.new(number) for number in range(4)])
            script.spoil("remove_outdated_jobs", 2, kind)
            async with app.worker(retention_interval="5ms"):

                async def is_done() -> bool:
                    counts = await app.queue("work").counts()
                    return len(ran) == 4 and {state: n for state, n in counts.items() if n} == {JobState.COMPLETED: 1}

                await eventually(is_done)
