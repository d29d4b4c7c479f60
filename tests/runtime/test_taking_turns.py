"""Jobs that never wait: whatever else runs in the program gets its turn between them."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel
import pytest

from conveyor import Conveyor
from conveyor._runtime.turns import LONGEST_SECONDS

pytestmark = pytest.mark.anyio

JOBS = 5


async def test_jobs_that_never_wait_let_others_run_between_them() -> None:
    app = Conveyor("memory://")
    queue = app.queue("q")
    turns = 0
    turns_before: list[int] = []
    all_ran = anyio.Event()

    @queue.job()
    async def work_without_waiting() -> None:
        turns_before.append(turns)
        time.sleep(LONGEST_SECONDS)  # noqa: ASYNC251 - it is what users should not do
        if len(turns_before) == JOBS:
            all_ran.set()

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with app, anyio.create_task_group() as others:
        await work_without_waiting.add_many([work_without_waiting.new() for _ in range(JOBS)])
        others.start_soon(count_turns)
        # All are fetched ahead, so no trip to the store comes between them.
        async with app.worker("q", concurrency=1, prefetch=JOBS):
            await all_ran.wait()
        others.cancel_scope.cancel()
    # Trio shuffles who goes first, so two jobs may come next to each other, and never three.
    assert len(set(turns_before)) > JOBS // 2
