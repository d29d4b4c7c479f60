"""The life of a batch job: from what somebody wants to what came of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import AesGcmCodec, BatchEventKind, BatchStatus, Confirmation, Conveyor, EventKind, JobState, RowOutcome
from conveyor.errors import (
    BatchJobError,
    BatchJobNotFoundError,
    ConfigurationError,
    DuplicateBatchJobError,
    InvalidBatchStatusError,
)
from conveyor.testing import jumping_backends
from tests.app.batches.strategies import Counting
from tests.eventually import eventually

if TYPE_CHECKING:
    from conveyor import BatchJob
    from conveyor.contracts.batch_job import BatchRun

pytestmark = pytest.mark.anyio


def way(batch: BatchJob) -> list[str]:
    """Return the statuses it went through."""
    return [str(change.after) for change in batch.history]


async def were_told(strategy: Counting, told: list[str]) -> bool:
    """Whether just these hooks were called: those of an end come after it."""
    return strategy.told == told


async def have_settled(app: Conveyor, count: int) -> bool:
    """Whether so many jobs of batch jobs have completed."""
    return await app.queue("batches").count(JobState.COMPLETED) == count


async def test_it_goes_its_way_and_tells_of_it(store_url: str) -> None:
    strategy = Counting()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3}, created_by="ada", request={"user": "ada"})
        assert (batch.status, batch.created_by, batch.batch_type) == (BatchStatus.CREATED, "ada", "count")
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED
        assert way(batch) == ["created", "pre_processed", "confirmed", "processing", "completed"]
        assert batch.context == {"rows": 3, "user": "ada"}
        assert batch.result == {"seen": True, "rows": 3}
        assert batch.counts == {RowOutcome.DONE: 3, RowOutcome.FAILED: 0}
        assert (batch.progress.done, batch.progress.total, batch.progress.message) == (3, 3, "row 3")
        assert strategy.rows == [1, 2, 3]
        await eventually(lambda: were_told(strategy, ["before", "after"]))
        shown = batch.to_json()
        assert (shown["status"], shown["context"]["rows"], shown["progress"]["done"]) == ("completed", 3, 3)
        await eventually(lambda: have_settled(app, 2))
        jobs = await app.queue("batches").jobs(JobState.COMPLETED, 0, 10)
        assert sorted(job.name for job in jobs) == ["count", "count:pre_process"]


async def test_what_the_strategy_refuses_is_not_created(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Counting])
    async with app:
        with pytest.raises(ValueError, match="no such rows"):
            await app.batches.create("count", {"rows": -1})
        with pytest.raises(BatchJobError, match="maps names to values"):
            await app.batches.create("count", [1])  # type: ignore[arg-type]  # what is refused
        with pytest.raises(BatchJobError, match=r"no JSON form at .*file"):
            await app.batches.create("count", {"file": object()})
        with pytest.raises(ConfigurationError, match="confirmation must be one of"):
            await app.batches.create("count", {}, confirmation="maybe")
        with pytest.raises(ConfigurationError, match="did you mean 'dry_run'"):
            await app.batches.create("count", {}, dry_rum=True)  # type: ignore[call-arg]  # likewise
        with pytest.raises(ConfigurationError, match="at most 200 characters"):
            await app.batches.create("count", {}, id="x" * 201)
        assert (await app.batches.list()).batches == []
        assert await app.queue("batches").count(JobState.WAITING) == 0


async def test_somebody_confirms_it(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Counting])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 1}, confirmation="manual")
        async with app.batches.events(batch.id) as events:
            async for event in events:
                if event.batch.status is BatchStatus.PRE_PROCESSED:
                    break
        await batch.confirm(by="ada", reason="looks good")
        await batch.wait_until_ended("10s")
        confirmed = next(change for change in batch.history if change.after is BatchStatus.CONFIRMED)
        assert (confirmed.by, confirmed.reason) == ("ada", "looks good")
        with pytest.raises(InvalidBatchStatusError, match="completed"):
            await batch.confirm()


@pytest.mark.parametrize(
    ("context", "ends"), [({"rows": 2}, True), ({"rows": 3}, False), ({"rows": 1, "is_counted": False}, False)]
)
async def test_above_a_number_of_rows_or_an_unknown_one_somebody_must_confirm(
    store_url: str, context: dict[str, Any], *, ends: bool
) -> None:
    class Careful(Counting):
        confirm_above = 2

    app = Conveyor(store_url, batch_strategies=[Careful])
    async with app, app.worker():
        batch = await app.batches.create("count", context)
        async with app.batches.events(batch.id) as events:
            async for event in events:
                if event.change is not None and event.change.after is BatchStatus.PRE_PROCESSED:
                    break
        if not ends:
            await eventually(lambda: have_settled(app, 1))
            (job,) = await app.queue("batches").jobs(JobState.COMPLETED, 0, 9)
            assert job.name == "count:pre_process"
            assert (await batch.refresh()).status is BatchStatus.PRE_PROCESSED
            await batch.confirm()
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED


async def test_the_same_is_not_run_twice_unless_it_is_forced(store_url: str) -> None:
    class Once(Counting):
        identifying = ("file",)

    app = Conveyor(store_url, batch_strategies=[Once])
    async with app:
        first = await app.batches.create("count", {"file": "a"})
        with pytest.raises(DuplicateBatchJobError, match=first.id):
            await app.batches.create("count", {"file": "a", "rows": 7})
        await app.batches.create("count", {"file": "a"}, dry_run=True)
        await app.batches.create("count", {"file": "a"}, force=True)
        await app.batches.create("count", {"file": "b"})
        with pytest.raises(BatchJobError, match="must have 'file'"):
            await app.batches.create("count", {})
        await first.cancel()
        await app.batches.create("count", {"file": "a"})
        assert len((await app.batches.list()).batches) == 5


async def test_the_same_id_again_is_the_same_batch_job(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Counting])
    async with app:
        first = await app.batches.create("count", {"rows": 1}, id="import-1")
        assert (await app.batches.create("count", {"rows": 1}, id="import-1")).data == first.data
        with pytest.raises(DuplicateBatchJobError, match="already has the id"):
            await app.batches.create("count", {"rows": 2}, id="import-1")
        assert await app.queue("batches").count(JobState.WAITING) == 1


async def test_bad_rows_are_kept_and_tried_again_by_another(store_url: str) -> None:
    strategy = Counting()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 4, "bad": [2, 4]})
        with pytest.raises(BatchJobError, match="no failed rows"):
            await app.batches.retry(batch.id, failed_rows=True)
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED_WITH_ERRORS
        assert [(error.row_number, error.raw) async for error in batch.errors()] == [(2, "row 2"), (4, "row 4")]
        child = await app.batches.retry(batch.id, by="ada", failed_rows=True)
        assert (child.parent_id, child.context, child.created_by) == (batch.id, batch.context, "ada")
        await child.wait_until_ended("10s")
        assert [one.id for one in (await app.batches.list(parent_id=batch.id)).batches] == [child.id]


async def test_one_that_failed_goes_on_where_it_was(store_url: str) -> None:
    breaks = [True]

    async def fail(run: BatchRun, number: int) -> None:
        if number == 2 and breaks:
            raise ValueError("the shelf is full")

    strategy = Counting(fail)
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3})
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.FAILED
        assert batch.error == "ValueError: the shelf is full"
        told = ["before", "handle the shelf is full", "failure the shelf is full"]
        await eventually(lambda: were_told(strategy, told))
        breaks.clear()
        again = await app.batches.retry(batch.id, by="ada")
        assert (await again.wait_until_ended("10s")).status is BatchStatus.COMPLETED
        assert again.error is None
        assert strategy.rows == [1, 2, 3]


async def test_one_that_failed_before_it_was_confirmed_begins_anew(store_url: str) -> None:
    class Blind(Counting):
        async def pre_process_batch_job(self, batch_job_id: str, /) -> None:
            if not self.told:
                raise ValueError("it cannot be read")
            await super().pre_process_batch_job(batch_job_id)

    strategy = Blind()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 1})
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.FAILED
        await eventually(lambda: were_told(strategy, ["failure it cannot be read"]))
        await batch.retry()
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED
        assert way(batch)[:3] == ["created", "failed", "created"]


async def test_it_is_found_and_removed(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Counting])
    async with app:
        batch = await app.batches.create("count", {}, created_by="ada")
        day = timedelta(days=1)
        now = datetime.now(UTC)
        for wanted, count in (
            ({"types": ["count"]}, 1),
            ({"types": ["other"]}, 0),
            ({"statuses": ["created", "failed"]}, 1),
            ({"created_by": "bob"}, 0),
            ({"created_from": now - day, "created_before": now + day}, 1),
            ({"created_before": now - day}, 0),
        ):
            assert len((await app.batches.list(**wanted)).batches) == count, wanted
        for wrong in ({"statuses": ["done"]}, {"types": "count"}, {"created_from": datetime(2026, 1, 1)}, {"limit": 0}):  # noqa: DTZ001
            with pytest.raises(ConfigurationError):
                await app.batches.list(**wrong)
        with pytest.raises(InvalidBatchStatusError):
            await batch.remove()
        await batch.cancel()
        await batch.remove()
        with pytest.raises(BatchJobNotFoundError):
            await batch.refresh()
        with pytest.raises(BatchJobNotFoundError):
            await app.batches.pause(batch.id)
        with pytest.raises(BatchJobNotFoundError):
            await anext(app.batches.errors(batch.id))


async def test_a_page_says_where_the_next_begins(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Counting])
    async with app:
        made = [(await app.batches.create("count", {})).id for _ in range(5)]
        first = await app.batches.list(limit=3)
        second = await app.batches.list(limit=3, cursor=first.next_cursor)
        assert sorted(one.id for one in (*first.batches, *second.batches)) == sorted(made)
        assert second.next_cursor is None


async def test_a_job_creates_one_and_only_one(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Counting])
    async with app, app.worker():
        new = app.batches.new("count", {"rows": 2}, created_by="nightly", confirmation=Confirmation.AUTOMATIC)
        (job,) = await app.queue("batches").add_many([new])
        batch_id = await job.result("10s")
        await (await app.batches.get(batch_id)).wait_until_ended("10s")
        await job.rerun()
        assert await job.result("10s") == batch_id
        (batch,) = (await app.batches.list()).batches
        assert (batch.created_by, batch.status) == ("nightly", BatchStatus.COMPLETED)


async def test_a_schedule_creates_them(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Counting])
    async with app, app.worker():
        await app.schedules.upsert("nightly", app.batches.new("count", {"rows": 1}), every="1 day")
        job = await app.schedules.run_now("nightly")
        await job.wait_until_finished("10s")
        (batch,) = (await app.batches.list()).batches
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED


async def test_a_job_that_would_create_the_same_again_is_cancelled(store_url: str) -> None:
    class Once(Counting):
        identifying = ("file",)

    app = Conveyor(store_url, batch_strategies=[Once])
    async with app, app.worker():
        await app.batches.create("count", {"file": "a"}, confirmation="manual")
        (job,) = await app.queue("batches").add_many([app.batches.new("count", {"file": "a"})])
        assert (await job.wait_until_finished("10s")).state is JobState.CANCELLED


async def test_context_and_result_are_encrypted_with_the_apps_codec(store_url: str) -> None:
    codec = AesGcmCodec({"a": AesGcmCodec.new_key()})
    app = Conveyor(store_url, batch_strategies=[Counting], payload_codec=codec)
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 1, "file": "salaries.csv"})
        await batch.wait_until_ended("10s")
        assert batch.status is BatchStatus.COMPLETED
        assert b"salaries" not in batch.data.context
        assert b"seen" not in (batch.data.result or b"")
        assert batch.context["file"] == "salaries.csv"
        assert batch.result == {"seen": True, "rows": 1}


async def test_events_begin_where_it_stands_and_end_with_it(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Counting])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 20}, confirmation="manual")
        seen: list[str] = []
        done: list[int] = []
        with anyio.fail_after(20):
            async with app.batches.events(batch.id) as events:
                async for event in events:
                    if event.change is not None:
                        seen.append(str(event.change.after))
                        if event.change.after is BatchStatus.PRE_PROCESSED:
                            await batch.confirm()
                    else:
                        assert event.kind is BatchEventKind.PROGRESS
                        done.append(event.batch.progress.done)
        assert seen in (
            ["created", "pre_processed", "confirmed", "processing", "completed"],
            ["pre_processed", "confirmed", "processing", "completed"],
        )
        assert done == sorted(done)
        assert done[-1] == 20


@pytest.mark.parametrize("anyio_backend", jumping_backends())
@pytest.mark.parametrize(
    ("waits", "told"), [([0.4, 0.4], [1]), ([0.6, 0.6, 0.5], [1, 3]), ([0.6, 0.6, 1.1], [1, 3, 4])]
)
async def test_a_look_says_how_far_it_is_at_once_and_then_once_a_second_at_most(
    waits: list[float], told: list[int]
) -> None:
    class Looking(Counting):
        async def pre_process_batch_job(self, batch_job_id: str, /) -> None:
            run = self.batch_jobs.run(batch_job_id)
            for done, wait in enumerate([0.0, *waits], 1):
                await anyio.sleep(wait)
                await run.save(cursor=None, done=done)
            await anyio.sleep(0.1)

    seen: list[int] = []
    app = Conveyor("memory://", batch_strategies=[Looking])
    async with app, app.queue("batches").events() as events, app.worker():
        await app.batches.create("count", {"rows": 1}, confirmation="manual")
        async for event in events:
            if event.kind is EventKind.COMPLETED:
                break
            if event.progress is not None:
                seen.append(int(event.progress.done))
    assert seen == told


@pytest.mark.parametrize("request_", [[1], "ada", 3])
async def test_a_request_that_is_no_mapping_is_refused(request_: Any) -> None:
    async with Conveyor("memory://", batch_strategies=[Counting]) as app:
        with pytest.raises(ConfigurationError, match="request must be a mapping or None"):
            await app.batches.create("count", {"rows": 1}, request=request_)


async def test_waiting_for_its_end_may_take_too_long(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Counting])
    async with app:
        batch = await app.batches.create("count", {})
        with pytest.raises(TimeoutError):
            await batch.wait_until_ended("10ms")


async def test_queues_of_an_app_with_a_prefix_have_it() -> None:
    app = Conveyor("memory://", batch_strategies=[Counting], prefix="shop.")
    async with app, app.worker("batches"):
        batch = await app.batches.create("count", {"rows": 1})
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED
        assert [status.name for status in app.queues()] == ["shop.batches"]
