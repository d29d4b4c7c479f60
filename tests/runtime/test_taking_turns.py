"""Jobs that never wait: whatever else runs in the program gets its turn between them."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from conveyor import Conveyor

pytestmark = pytest.mark.anyio

JOBS = 1000
MOST_IN_A_ROW = 50


async def test_jobs_that_never_wait_let_others_run_between_them() -> None:
    app = Conveyor("memory://")
    queue = app.queue("q")
    in_a_row: list[int] = [0]
    all_ran = anyio.Event()

    @queue.job()
    async def busy(number: int) -> None:
        in_a_row[-1] += 1
        if number == JOBS - 1:
            all_ran.set()

    async def count_turns() -> None:
        while True:
            in_a_row.append(0)
            await anyio.lowlevel.checkpoint()

    async with app, anyio.create_task_group() as others:
        await busy.add_many([busy.new(number) for number in range(JOBS)])
        others.start_soon(count_turns)
        # All are fetched ahead, so no trip to the store comes between them.
        async with app.worker("q", concurrency=1, prefetch=JOBS):
            await all_ran.wait()
        others.cancel_scope.cancel()
    assert sum(in_a_row) == JOBS
    assert max(in_a_row) <= MOST_IN_A_ROW
