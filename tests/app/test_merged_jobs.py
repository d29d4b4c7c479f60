"""Jobs that a flush merged into others: looked up by their ids, they lead to the work, and change nothing of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, JobBuffer, JobContext, union
from conveyor.errors import JobInBufferError
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conveyor import Job

pytestmark = pytest.mark.anyio


def searching(app: Conveyor) -> Conveyor:
    """Give an app a handler, and a buffer that unites what it is to do."""

    @app.queue("search").job()
    async def reindex(ctx: JobContext, ids: list[str]) -> list[str]:
        ctx.log("began")
        return ids

    app.buffers.add_buffer(JobBuffer("b", collect=lambda _: True, reduce=union("ids")))
    return app


async def add(app: Conveyor, *ids: str) -> list[Job[Any]]:
    return [await app.queue("search").add("reindex", {"ids": [id]}, job_id=id) for id in ids]


@pytest.mark.parametrize(
    "change",
    [
        lambda job: job.cancel(),
        lambda job: job.remove(),
        lambda job: job.rerun(),
        lambda job: job.promote(),
        lambda job: job.update_data({"ids": []}),
        lambda job: job.change_delay(1),
        lambda job: job.change_priority(1),
        lambda job: job.move_to_delayed(datetime.now(UTC)),
        lambda job: job.move_to_failed(),
        lambda job: job.discard(),
        lambda job: job.log("x"),
        lambda job: job.clear_logs(),
    ],
)
async def test_what_changes_a_merged_job_leaves_the_one_that_does_the_work(
    change: Callable[[Job[Any]], Awaitable[object]],
) -> None:
    async with searching(Conveyor("memory://")) as app:
        first, second = await add(app, "a", "b")
        await app.buffers.flush()
        for handle in (second, await app.jobs.get("b"), await app.queue("search").get_job("b")):
            assert handle is not None
            with pytest.raises(JobInBufferError, match="merged into job 'a'"):
                await change(handle)
        assert (await first.refresh()).state is JobState.WAITING


async def test_a_merged_job_is_found_under_its_id_and_shows_the_other(app: Conveyor) -> None:
    async with searching(app), app.worker():
        await add(app, "a", "b")
        buffered = await app.jobs.get("b")
        assert buffered.to_json()["buffer_id"] == "b"
        await app.buffers.flush()
        found = await app.jobs.get("b")
        assert (found.id, found.merged_into) == ("b", "a")
        assert await found.result(timeout=10) == ["a", "b"]
        record = found.to_json()
        assert (record["id"], record["merged_into"], record["state"]) == ("b", "a", "completed")
        assert "buffer_id" not in record
        survivor = (await app.jobs.get("a")).to_json()
        assert survivor.keys() == record.keys() - {"merged_into"}


async def test_what_is_read_of_a_merged_job_is_that_of_the_other(app: Conveyor) -> None:
    async with searching(app), app.worker():
        _, merged = await add(app, "a", "b")
        await app.buffers.flush()
        await merged.result(timeout=10)
        (attempt,) = await merged.attempts()
        assert attempt.number == 1
        assert [entry.message for entry in await merged.logs()] == ["began"]
        assert list(await merged.children()) == []


async def test_a_buffered_job_is_observed_to_the_end_of_the_job_that_does_its_work(app: Conveyor) -> None:
    async with searching(app):
        first, second = await add(app, "a", "b")
        seen: dict[str, list[JobState]] = {"a": [], "b": []}

        async def observe(job: Job[Any], is_watched: anyio.Event) -> None:
            async with job.observe() as states:
                async for state in states:
                    seen[job.id].append(state.state)
                    is_watched.set()

        async with anyio.create_task_group() as tasks:
            for job in (first, second):
                is_watched = anyio.Event()
                tasks.start_soon(observe, job, is_watched)
                await is_watched.wait()
            async with app.worker():
                await app.buffers.flush()
                await first.result(timeout=10)
                await second.result(timeout=10)
        assert seen["a"][0] is seen["b"][0] is JobState.WAITING
        assert seen["a"][-1] is seen["b"][-1] is JobState.COMPLETED
        assert second.merged_into == "a"


async def test_events_of_a_merged_job_are_those_of_the_other_and_of_a_buffered_one_there_are_none(
    app: Conveyor,
) -> None:
    async with searching(app):
        _, merged = await add(app, "a", "b")
        with pytest.raises(JobInBufferError, match="is in buffer 'b' still"):
            async with merged.events():
                raise AssertionError("nobody would ever hear of it")
        await app.buffers.flush()
        async with merged.events(["completed"]) as stream, app.worker():
            with anyio.fail_after(10):
                assert (await anext(stream)).job_id == "a"


@pytest.mark.parametrize("verb", ["log", "clear_logs"])
async def test_a_buffered_job_takes_no_lines(app: Conveyor, verb: str) -> None:
    async with searching(app):
        (job,) = await add(app, "a")
        with pytest.raises(JobInBufferError, match="is in buffer 'b' still"):
            await (job.log("x") if verb == "log" else job.clear_logs())


async def test_a_job_in_a_buffer_takes_no_children_and_is_no_flow(app: Conveyor) -> None:
    async with searching(app):
        (job,) = await add(app, "a")
        with pytest.raises(JobInBufferError):
            await job.add_children(app.queue("search").new("reindex", {"ids": []}))
        with pytest.raises(JobInBufferError):
            await app.flows.cancel("a")
