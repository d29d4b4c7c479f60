"""Settled jobs are kept for a while: as long as the app says, or the job itself."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from conveyor import Cancel, Conveyor, JobState, Retention
from conveyor.errors import ConfigurationError, JobNotFoundError
from conveyor.testing.clocks import ManualClock
from conveyor.testing.stores import open_store
from tests.eventually import eventually

pytestmark = pytest.mark.anyio


async def test_a_job_goes_by_its_own_duration_and_its_result_with_it(app: Conveyor) -> None:
    @app.queue("work").job(remove_on_complete="20ms")
    async def note(word: str) -> str:
        return word

    async with app, app.worker(retention_interval="10ms"):
        short, long = await note.add("short"), await note.options(remove_on_complete=False).add("long")
        assert [await job.result(timeout="10s") for job in (short, long)] == ["short", "long"]

        async def is_gone() -> bool:
            return await app.queue("work").get_job(short.id) is None

        await eventually(is_gone)
        with pytest.raises(JobNotFoundError):
            await short.result(timeout="10s")
        with pytest.raises(JobNotFoundError):
            await short.refresh()
        assert (await long.refresh()).state is JobState.COMPLETED


async def test_by_default_a_job_goes_a_month_after_its_end(store_url: str) -> None:
    clock = ManualClock()
    app = Conveyor(store_url, clock=clock)

    @app.queue("work").job()
    async def note() -> None: ...

    async with app, app.worker(retention_interval="5ms"):
        old = await note.add()
        await old.result(timeout="10s")
        clock.advance("29 days")
        new = await note.add()
        await new.result(timeout="10s")
        await anyio.sleep(0.05)
        assert await app.queue("work").count(JobState.COMPLETED) == 2
        clock.advance("1 day")

        async def is_gone() -> bool:
            return await app.queue("work").get_job(old.id) is None

        await eventually(is_gone)
        assert (await new.refresh()).state is JobState.COMPLETED


async def test_an_app_keeps_so_many_jobs_of_each_of_its_queues(store_url: str) -> None:
    app = Conveyor(store_url, retention=Retention(max_age=None, max_count=3))
    for name in ("work", "play", "other"):

        @app.queue(name).job(name="note", attempts=1)
        async def note(number: int) -> Cancel | None:
            if number % 3 == 1:
                raise ValueError("no")
            return Cancel("no") if number % 3 else None

    async with app:
        queues = [app.queue(name) for name in ("work", "play", "other")]
        jobs = [await queue.add("note", {"number": number}) for queue in queues for number in range(9)]
        async with app.worker(retention_interval="1h"):
            for job in jobs:
                await job.wait_until_finished(timeout="10s")

        async def settled() -> list[int]:
            counts = [await queue.counts() for queue in queues]
            return [sum(count for state, count in found.items() if state.is_settled) for found in counts]

        assert await settled() == [9, 9, 9]
        async with app.worker("work", "play", retention_interval="5ms"):

            async def is_reached() -> bool:
                return await settled() == [3, 3, 9]

            await eventually(is_reached)


async def test_an_app_may_keep_everything_for_ever(store_url: str) -> None:
    clock = ManualClock()
    app = Conveyor(store_url, clock=clock, retention=Retention(max_age=None))

    @app.queue("work").job()
    async def note() -> None: ...

    async with app, app.worker(retention_interval="5ms"):
        job = await note.add()
        await job.result(timeout="10s")
        clock.advance("10000 days")
        await anyio.sleep(0.05)
        assert (await job.refresh()).state is JobState.COMPLETED


async def test_the_id_of_a_job_that_was_kept_long_enough_is_free_again(store_url: str) -> None:
    app = Conveyor(store_url, retention=Retention(max_age="1ms"))
    ran: list[int] = []

    @app.queue("work").job(job_id="only-one")
    async def note(number: int) -> None:
        ran.append(number)

    async def run_until_gone(number: int) -> None:
        await note.add(number)

        async def is_gone() -> bool:
            return number in ran and await app.queue("work").get_job("only-one") is None

        await eventually(is_gone)

    async with app, app.worker(retention_interval="5ms"):
        await run_until_gone(0)
        await run_until_gone(1)
    assert ran == [0, 1]


async def test_who_waits_for_a_job_that_goes_meanwhile_is_told() -> None:
    clock = ManualClock()
    told: list[str] = []
    async with open_store("memory://", clock=clock) as store:
        app = Conveyor(store)

        @app.queue("work").job()
        async def note() -> None: ...

        async with app, anyio.create_task_group() as group:
            job = await note.options(job_id="gone").add()

            async def wait() -> None:
                with pytest.raises(JobNotFoundError) as raised:
                    await job.result(timeout="10s")
                told.append(raised.value.job_id)

            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            # In memory neither lets anybody in between.
            await store.jobs.cancel_job(job.id, "enough")
            clock.advance("1s")
            assert await store.jobs.remove_outdated_jobs(["work"], Retention(max_age="1s")) == 1
        assert told == ["gone"]


@pytest.mark.parametrize("retention", ["7 days", 7, None, {"max_age": 7}])
def test_a_retention_of_another_type_is_refused(retention: Any) -> None:
    with pytest.raises(ConfigurationError, match="retention must be a Retention"):
        Conveyor("memory://", retention=retention)
