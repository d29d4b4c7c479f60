"""What the helpers merge, and what becomes of the times of jobs that are merged: nobody's work is lost or put off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from conveyor import Conveyor, Deduplication, JobBuffer, dedupe, union
from conveyor.errors import BufferError
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from conveyor.model.buffers.values import BufferedJob

pytestmark = pytest.mark.anyio


def buffering(app: Conveyor, reduce: Any, **options: Any) -> Conveyor:
    app.buffers.add_buffer(JobBuffer("b", **{"collect": lambda _: True, "reduce": reduce, **options}))
    return app


async def add(app: Conveyor, job_id: str, /, **options: Any) -> None:
    await app.queue("search").add("reindex", {"ids": [job_id]}, job_id=job_id, **options)


async def test_work_that_never_expires_or_is_due_now_is_not_merged_into_what_does_or_is_not(app: Conveyor) -> None:
    async with buffering(app, union("ids")):
        await add(app, "expires", expires="1h")
        await add(app, "later", delay="1h")
        await add(app, "plain")
        await add(app, "tenant", group="tenant-a")
        await add(app, "plain too", tags=["x"])
        flushed = (await app.buffers.flush())["b"]
        assert [(job.id, job.state) for job in flushed] == [
            ("expires", JobState.WAITING),
            ("later", JobState.DELAYED),
            ("plain", JobState.WAITING),
            ("tenant", JobState.WAITING),
        ]
        assert (await app.jobs.get("plain too")).merged_into == "plain"


async def test_a_job_that_does_the_work_of_others_expires_when_the_last_of_them_would(app: Conveyor) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    async with buffering(app, union("ids")):
        await add(app, "a", expires=soon)
        await add(app, "b", expires=soon + timedelta(hours=1))
        await app.buffers.flush()
        assert (await app.jobs.get("a")).data.expires_at == soon + timedelta(hours=1)
        await add(app, "b", expires=soon + timedelta(hours=1))
        assert await app.buffers.buffer_size() == {"b": 0}


async def test_an_own_reduce_that_merges_into_a_job_that_expires_loses_no_work_by_that(app: Conveyor) -> None:
    async with buffering(app, lambda jobs: jobs[:1]):
        await add(app, "a", expires="1s")
        await add(app, "b")
        (kept,) = (await app.buffers.flush())["b"]
        assert (await kept.refresh()).data.expires_at is None


async def test_jobs_of_different_deduplication_keys_do_not_meet(app: Conveyor) -> None:
    async with buffering(app, union("ids")):
        for key in "kkl":
            await add(app, f"{key}{await app.buffers.buffer_size()}", deduplication=Deduplication(key=key))
        assert len((await app.buffers.flush())["b"]) == 2


async def test_a_job_whose_argument_was_left_to_its_default_blocks_nobody(app: Conveyor) -> None:
    @app.queue("search").job()
    async def reindex(ids: list[str] | None = None, *, full: bool = False) -> None: ...

    async with buffering(app, union("ids")):
        await reindex.add(["1"])
        await reindex.add(full=True)
        await reindex.add(["2"])
        assert [job.to_json()["payload"] for job in (await app.buffers.flush())["b"]] == [
            {"ids": ["1", "2"]},
            {"full": True},
        ]


async def test_collect_sees_when_a_job_is_due_and_expires() -> None:
    seen: list[BufferedJob] = []

    def collect(job: BufferedJob) -> bool:
        seen.append(job)
        return job.run_at is not None

    async with buffering(Conveyor("memory://"), dedupe("ids"), collect=collect) as app:
        await add(app, "plain")
        await add(app, "later", delay="1h", expires="2h")
        assert await app.buffers.buffer_size() == {"b": 1}
    assert seen[0].run_at is seen[0].expires_at is None
    assert seen[1].run_at is not None
    assert seen[1].expires_at == seen[1].run_at + timedelta(hours=1)


async def test_a_collect_that_raises_is_named_and_its_job_is_not_added(app: Conveyor) -> None:
    def collect(job: BufferedJob) -> bool:
        found: bool = job.data["shop"] == "a"
        return found

    async with buffering(app, list, collect=collect):
        with pytest.raises(BufferError, match=r"collect raised KeyError: 'shop'.*search/reindex") as raised:
            await add(app, "a")
        assert raised.value.buffer_id == "b"
        with pytest.raises(BufferError, match="collect raised"):
            await app.queue("search").add_many([app.queue("search").new("reindex", {})])
        assert await app.queue("search").count("waiting") == 0


async def test_a_key_that_cannot_be_had_names_its_job_and_the_way_out(app: Conveyor) -> None:
    def shop(job: BufferedJob) -> str:
        found: str = job.data["shop"]
        return found

    async with buffering(app, dedupe(shop)):
        await add(app, "a")
        with pytest.raises(BufferError, match="the key of job 'a'"):
            await app.buffers.flush()
        await (await app.jobs.get("a")).remove()
        assert await app.buffers.flush() == {"b": []}
