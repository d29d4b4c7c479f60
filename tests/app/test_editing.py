"""Jobs that are changed while they live: what users see of it, and what a running handler does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from conveyor import Conveyor, JobContext, JobState
from conveyor.errors import ConfigurationError, InvalidJobStateError, JobFailedError, PayloadError

pytestmark = pytest.mark.anyio


async def test_new_data_reaches_the_handler_and_must_fit_it(app: Conveyor) -> None:
    @app.queue("work").job()
    async def double(number: int) -> int:
        return 2 * number

    async with app:
        job = await double.options(delay="1 hour").add(2)
        await job.update_data({"number": 21})
        with pytest.raises(PayloadError, match="number"):
            await job.update_data({"number": "many"})
        await job.change_delay(0)
        async with app.worker():
            assert await job.result(timeout="10s") == 42
        with pytest.raises(InvalidJobStateError, match="rerun"):
            await job.update_data({"number": 1})


async def test_a_more_urgent_job_runs_first(app: Conveyor) -> None:
    ran: list[str] = []

    @app.queue("work").job()
    async def note(word: str) -> None:
        ran.append(word)

    async with app:
        first = await note.add("first")
        second = await note.add("second")
        await second.change_priority(-1)
        assert second.data.priority == -1
        async with app.worker(concurrency=1, prefetch=0):
            await first.result(timeout="10s")
    assert ran == ["second", "first"]


async def test_a_handler_that_puts_its_own_job_off_is_run_again_then(app: Conveyor) -> None:
    runs: list[int] = []

    @app.queue("work").job()
    async def later(ctx: JobContext) -> str:
        runs.append(ctx.attempt)
        if len(runs) == 1:
            job = await app.jobs.get(ctx.job.id)
            await job.move_to_delayed(datetime.now(UTC) + timedelta(milliseconds=50))
            await anyio.sleep_forever()
        return "done"

    async with app, app.worker():
        job = await later.add()
        assert await job.result(timeout="10s") == "done"
        assert [str(attempt.outcome) for attempt in await job.attempts()] == ["snoozed", "completed"]
    assert runs == [1, 1], "what was put off is no attempt"


async def test_a_running_job_that_is_failed_by_hand_is_cancelled(app: Conveyor) -> None:
    started, ended = anyio.Event(), anyio.Event()

    @app.queue("work").job()
    async def wait() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with app, app.worker():
        job = await wait.add()
        await started.wait()
        await job.move_to_failed("the order was withdrawn")
        assert job.state is JobState.FAILED
        with anyio.fail_after(10):
            await ended.wait()
        with pytest.raises(JobFailedError, match="the order was withdrawn"):
            await job.result(timeout="10s")


async def test_a_discarded_job_is_not_tried_again(app: Conveyor) -> None:
    started, go = anyio.Event(), anyio.Event()
    runs: list[int] = []

    @app.queue("work").job(attempts=5)
    async def fail(ctx: JobContext) -> None:
        runs.append(ctx.attempt)
        started.set()
        await go.wait()
        raise ValueError("again")

    async with app, app.worker():
        job = await fail.add()
        await started.wait()
        await job.discard()
        assert job.state is JobState.ACTIVE
        go.set()
        with pytest.raises(JobFailedError, match="again"):
            await job.result(timeout="10s")
    assert runs == [1]


@pytest.mark.parametrize(
    ("verb", "value", "named"),
    [
        ("change_delay", -1, "delay"),
        ("change_delay", "soon", "delay"),
        ("change_priority", 1.5, "priority"),
        ("change_priority", 2**31, "priority"),
        ("move_to_delayed", datetime(2030, 1, 1), "at"),  # noqa: DTZ001 - that is what is wrong
        ("move_to_delayed", "soon", "at"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(app: Conveyor, verb: str, value: Any, named: str) -> None:
    @app.queue("work").job()
    async def note() -> None: ...

    async with app:
        job = await note.options(delay="1 hour").add()
        with pytest.raises(ConfigurationError, match=named):
            await getattr(job, verb)(value)
