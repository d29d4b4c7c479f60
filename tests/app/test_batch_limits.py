"""Batch handlers of queues with limits: each job counts by itself, as it does without a batch."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import BatchOptions, Conveyor, Group, GroupLimits, RateLimit
from conveyor.testing.clocks import JumpingClock, jumping_backends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import Job

pytestmark = pytest.mark.anyio


@pytest.fixture(params=jumping_backends(), ids=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def app(clock: JumpingClock) -> Conveyor:
    """An app whose loop skips all waiting."""
    return Conveyor("memory://", clock=clock)


async def all_end(jobs: Sequence[Job[Any]]) -> None:
    for job in jobs:
        await job.wait_until_finished(timeout="1h")


async def test_no_more_jobs_are_in_its_calls_than_may_run_at_once(app: Conveyor) -> None:
    calls: list[int] = []

    @app.queue("mail").job(batch=BatchOptions(size=5, linger="1s"))
    async def deliver(numbers: list[int]) -> list[int]:
        calls.append(len(numbers))
        return numbers

    async with app:
        await app.queue("mail").set_limits(max_global_concurrency=3)
        jobs = await deliver.add_many([deliver.new(number) for number in range(9)])
        async with app.worker():
            await all_end(jobs)
    assert (max(calls), sum(calls)) == (3, 9)


async def test_no_more_jobs_start_than_may_in_a_time(app: Conveyor, clock: JumpingClock) -> None:
    began: list[tuple[timedelta, int]] = []
    first = clock.now()

    @app.queue("mail").job(batch=BatchOptions(size=5, linger="1s"))
    async def deliver(numbers: list[int]) -> list[int]:
        began.append((clock.now() - first, len(numbers)))
        return numbers

    async with app:
        await app.queue("mail").set_limits(limiter=RateLimit(2, "1 minute"))
        jobs = await deliver.add_many([deliver.new(number) for number in range(6)])
        async with app.worker():
            await all_end(jobs)
    assert sum(count for _, count in began) == 6
    assert began[-1][0] >= timedelta(minutes=2)
    for at, _ in began:
        assert sum(count for other, count in began if at <= other < at + timedelta(seconds=58)) <= 2


async def test_each_group_has_as_many_jobs_in_calls_as_it_may(app: Conveyor) -> None:
    running: dict[str, int] = {"a": 0, "b": 0}
    most = dict(running)

    @app.queue("mail").job(batch=BatchOptions(size=4, linger="1s"))
    async def deliver(groups: list[str]) -> list[str]:
        for group in groups:
            running[group] += 1
            most[group] = max(most[group], running[group])
        await anyio.sleep(10)
        for group in groups:
            running[group] -= 1
        return groups

    async with app:
        await app.queue("mail").set_limits(group=GroupLimits(concurrency=2))
        names = ["a", "a", "a", "a", "b", "a", "a"]
        jobs = await deliver.add_many([deliver.options(group=Group(name)).new(name) for name in names])
        async with app.worker():
            await all_end(jobs)
    assert most == {"a": 2, "b": 1}


async def test_a_minimum_that_limits_do_not_let_come_together_is_told(
    app: Conveyor, caplog: pytest.LogCaptureFixture
) -> None:
    @app.queue("mail").job(batch=BatchOptions(size=3, linger="1s", minimum=3))
    async def deliver(numbers: list[int]) -> list[int]:
        return numbers

    async with app:
        await app.queue("mail").set_limits(max_global_concurrency=2)
        jobs = await deliver.add_many([deliver.new(number) for number in range(4)])
        with caplog.at_level(logging.WARNING, "conveyor.worker"):
            async with app.worker():
                await anyio.sleep(60)
                await app.queue("mail").set_limits()
                await deliver.add_many([deliver.new(number) for number in range(2)])
                await all_end(jobs)
    (told,) = [record.getMessage() for record in caplog.records if "put off" in record.getMessage()]
    assert "batch handler deliver of queue mail was put off 10 times in a row" in told
    assert "its minimum of 3 jobs" in told
