"""Batch jobs that stop: paused, resumed, cancelled, handed back, failed, left behind."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import BatchStatus, Conveyor, JobState
from conveyor.errors import BatchRunLostError, BatchStoppedError, StoreUnavailableError
from conveyor.model.batches.status import BatchCommand
from conveyor.model.batches.values import BatchChange
from conveyor.testing.faults import FaultKind, FaultyStore
from conveyor.testing.stores import open_store
from tests.app.batches.strategies import Counting
from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conveyor import BatchJob
    from conveyor.contracts.batch_job import BatchRun
    from conveyor.testing.faults import StoreCall

pytestmark = pytest.mark.anyio


def at(number: int, act: Callable[[BatchRun], Awaitable[object]]) -> Callable[[BatchRun, int], Awaitable[object]]:
    """Return a hook that acts before one row, the first time it comes there."""
    done: list[int] = []

    async def hook(run: BatchRun, row: int) -> None:
        if row == number and not done:
            done.append(row)
            await act(run)

    return hook


async def comes_to(batch: BatchJob, status: BatchStatus) -> BatchJob:
    """Wait until a batch job is in a status, and return it."""

    async def is_there() -> bool:
        return (await batch.refresh()).status is status

    await eventually(is_there)
    return batch


async def test_it_pauses_within_a_row_and_goes_on_with_the_rest(store_url: str) -> None:
    strategy = Counting(at(3, lambda run: app.batches.pause(run.batch_job.id, by="ada", reason="lunch")))
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 5})
        await comes_to(batch, BatchStatus.PAUSED)
        assert strategy.rows == [1, 2, 3]
        await batch.resume(by="ada")
        await batch.wait_until_ended("10s")
        assert batch.status is BatchStatus.COMPLETED
        assert strategy.rows == [1, 2, 3, 4, 5]
        assert [str(change.after) for change in batch.history][3:] == [
            "processing",
            "pausing",
            "paused",
            "confirmed",
            "processing",
            "completed",
        ]
        assert "cancel" not in strategy.told


async def test_one_that_waits_is_paused_at_once_and_its_job_does_nothing(store_url: str) -> None:
    strategy = Counting()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app:
        batch = await app.batches.create("count", {"rows": 1}, confirmation="manual")
        async with app.worker():
            await comes_to(batch, BatchStatus.PRE_PROCESSED)
        await batch.confirm()
        assert (await batch.pause()).status is BatchStatus.PAUSED
        async with app.worker():
            await eventually(lambda: is_settled(app, 2))
            assert (await batch.refresh()).status is BatchStatus.PAUSED
            assert strategy.rows == []
            await batch.resume()
            await batch.wait_until_ended("10s")
        assert strategy.rows == [1]


async def is_settled(app: Conveyor, count: int) -> bool:
    """Whether so many jobs of batch jobs have completed."""
    return await app.queue("batches").count(JobState.COMPLETED) >= count


async def test_one_that_is_resumed_before_it_has_stopped_goes_on(store_url: str) -> None:
    async def pause_and_resume(run: BatchRun) -> None:
        await app.batches.pause(run.batch_job.id)
        await app.batches.resume(run.batch_job.id)

    strategy = Counting(at(2, pause_and_resume))
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3})
        await batch.wait_until_ended("10s")
        assert strategy.rows == [1, 2, 3]
        assert await app.queue("batches").count(JobState.WAITING) == 0


async def test_one_that_is_resumed_after_its_run_was_told_to_stop_goes_on(store_url: str) -> None:
    class Slow(Counting):
        async def process_job(self, batch_job_id: str, /) -> None:
            try:
                await super().process_job(batch_job_id)
            except BatchStoppedError:
                await app.batches.resume(batch_job_id)
                raise

    strategy = Slow(at(2, lambda run: app.batches.pause(run.batch_job.id)))
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3})
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED
        assert strategy.rows == [1, 2, 3]
        assert "it was resumed" in [change.reason for change in batch.history]


async def test_it_is_cancelled_within_a_row(store_url: str) -> None:
    strategy = Counting(at(2, lambda run: app.batches.cancel(run.batch_job.id, by="ada")))
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 9})
        await batch.wait_until_ended("10s")
        assert batch.status is BatchStatus.CANCELLED
        assert strategy.rows == [1, 2]
        await eventually(lambda: was_told(strategy, "cancel"))
        assert (await batch.cancel()).status is BatchStatus.CANCELLED
        assert strategy.told == ["before", "cancel"]


async def was_told(strategy: Counting, what: str) -> bool:
    """Whether a hook was called."""
    return what in strategy.told


async def test_a_strategy_that_swallows_the_stop_is_stopped_nevertheless(store_url: str) -> None:
    class Greedy(Counting):
        async def process_job(self, batch_job_id: str, /) -> None:
            try:
                await super().process_job(batch_job_id)
            except BatchStoppedError:
                return

    strategy = Greedy(at(2, lambda run: app.batches.cancel(run.batch_job.id)))
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 9})
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.CANCELLED
        assert strategy.rows == [1, 2]


async def test_a_stop_in_several_tasks_is_a_stop(store_url: str) -> None:
    class Wide(Counting):
        async def process_job(self, batch_job_id: str, /) -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(super().process_job, batch_job_id)

    strategy = Wide(at(2, lambda run: app.batches.pause(run.batch_job.id)))
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3})
        await comes_to(batch, BatchStatus.PAUSED)
        assert batch.error is None


async def test_who_saves_seldom_may_ask_whether_to_stop(store_url: str) -> None:
    asked: list[str] = []

    async def pause_and_ask(run: BatchRun) -> None:
        await run.check_stopped()
        await app.batches.pause(run.batch_job.id)
        try:
            await run.check_stopped()
        except BatchStoppedError as exc:
            asked.append(exc.reason)
            raise

    strategy = Counting(at(2, pause_and_ask))
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3})
        await comes_to(batch, BatchStatus.PAUSED)
        assert (asked, strategy.rows) == (["it is pausing"], [1])


async def test_a_worker_that_stops_hands_it_back_at_the_next_row(store_url: str) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def wait(run: BatchRun) -> None:
        begun.set()
        await go_on.wait()

    strategy = Counting(at(2, wait))
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app:
        batch = await app.batches.create("count", {"rows": 4})
        async with anyio.create_task_group() as tasks, app.worker(shutdown_grace="1 hour"):
            await begun.wait()
            tasks.start_soon(set_soon, go_on)
        await batch.refresh()
        assert batch.status is BatchStatus.INTERRUPTED
        assert batch.history[-1].reason == "its worker stops"
        assert strategy.rows == [1, 2]
        async with app.worker():
            await batch.wait_until_ended("10s")
        assert strategy.rows == [1, 2, 3, 4]


async def set_soon(event: anyio.Event) -> None:
    """Set an event once everybody waits."""
    await anyio.wait_all_tasks_blocked()
    event.set()


async def test_a_run_that_is_cancelled_with_its_worker_is_interrupted(store_url: str) -> None:
    begun = anyio.Event()

    async def hang(run: BatchRun) -> None:
        begun.set()
        await anyio.sleep_forever()

    strategy = Counting(at(2, hang))
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app:
        batch = await app.batches.create("count", {"rows": 3})
        async with app.worker(shutdown_grace="10ms"):
            await begun.wait()
        await batch.refresh()
        assert (batch.status, batch.history[-1].reason) == (BatchStatus.INTERRUPTED, "its worker was stopped")
        async with app.worker():
            assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED
        assert strategy.rows == [1, 2, 3]


async def test_one_that_is_looked_at_stops_once_it_is_cancelled(store_url: str) -> None:
    class Looking(Counting):
        async def pre_process_batch_job(self, batch_job_id: str, /) -> None:
            run = self.batch_jobs.run(batch_job_id)
            await run.save(cursor=None, done=1)
            assert run.cursor is None
            await app.batches.cancel(batch_job_id)
            await run.save(cursor=None, done=2)
            self.rows.append(2)

    strategy = Looking()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3})
        await eventually(lambda: is_settled(app, 1))
        assert (await batch.refresh()).status is BatchStatus.CANCELLED
        assert strategy.rows == []
        assert batch.progress.done == 0


@pytest.mark.parametrize("ends_well", [True, False])
async def test_a_run_that_failed_is_tried_again_from_where_it_was(store_url: str, *, ends_well: bool) -> None:
    failures: list[int] = []

    class Stubborn(Counting):
        max_retries = 1

    async def fail(run: BatchRun, number: int) -> None:
        if number in (2, 3) and (not ends_well or failures.count(number) < 1):
            failures.append(number)
            raise OSError("the line is dead")

    strategy = Stubborn(fail)
    strategy.is_retried = True
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3})
        await batch.wait_until_ended("30s")
        if ends_well:
            # A step forward between two failures: each is the first again.
            assert (batch.status, batch.error, batch.data.retries) == (BatchStatus.COMPLETED, None, 0)
            assert strategy.rows == [1, 2, 3]
        else:
            assert (batch.status, failures) == (BatchStatus.FAILED, [2, 2])
            assert batch.error == "OSError: the line is dead"


async def test_hooks_that_raise_change_nothing(store_url: str, caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(Counting):
        async def after_processing(self, batch_job_id: str, /) -> None:
            raise ValueError("after")

        async def on_failure(self, batch_job_id: str, error: Exception, /) -> None:
            raise ValueError("on failure")

        async def on_cancel(self, batch_job_id: str, /) -> None:
            raise ValueError("on cancel")

        async def handle_processing_error(self, batch_job_id: str, error: Exception, /) -> None:
            raise ValueError("handle")

        async def should_retry_on_processing_error(self, batch_job: object, error: Exception, /) -> bool:
            raise ValueError("should retry")

    async def fail(run: BatchRun, number: int) -> None:
        if run.context.get("fails"):
            raise OSError("the line is dead")

    app = Conveyor(store_url, batch_strategies=[Clumsy(fail)])
    async with app, app.worker():
        with caplog.at_level(logging.ERROR, "conveyor.batches"):
            good = await app.batches.create("count", {"rows": 1})
            bad = await app.batches.create("count", {"rows": 1, "fails": True})
            assert (await good.wait_until_ended("10s")).status is BatchStatus.COMPLETED
            assert (await bad.wait_until_ended("10s")).status is BatchStatus.FAILED
            assert bad.error == "OSError: the line is dead"
            await eventually(lambda: is_settled(app, 3))
            gone = await app.batches.create("count", {"rows": 1}, confirmation="manual")
            assert (await gone.cancel()).status is BatchStatus.CANCELLED
        raised = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
        assert sorted(raised) == ["after", "handle", "on cancel", "on failure", "should retry"]


async def test_a_store_that_is_away_for_a_moment_fails_no_batch_job(store_url: str) -> None:
    class Steady(Counting):
        max_retries = 0

    async def away(run: BatchRun) -> None:
        raise StoreUnavailableError("the store is away")

    strategy = Steady(at(2, away))

    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3})
        assert (await batch.wait_until_ended("20s")).status is BatchStatus.COMPLETED
        assert (strategy.rows, batch.data.retries) == ([1, 2, 3], 0)
        interrupted = next(change for change in batch.history if change.after is BatchStatus.INTERRUPTED)
        assert interrupted.reason == "StoreUnavailableError: the store is away"


async def test_a_run_that_another_took_over_writes_nothing_and_its_job_goes_on(store_url: str) -> None:
    lost: list[str] = []

    async def take_over(run: BatchRun) -> None:
        change = BatchChange("theft", BatchCommand.START, run="a zombie that came late")
        await app._services.batch_store("the test").change_batch(run.batch_job.id, change)
        try:
            await run.check_stopped()
        except BatchRunLostError as exc:
            lost.append(exc.run)

    strategy = Counting(at(2, take_over))
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3})
        assert (await batch.wait_until_ended("20s")).status is BatchStatus.COMPLETED
        assert len(lost) == 1
        # Row 2 was not saved by the run that had lost, so it comes again.
        assert strategy.rows == [1, 2, 2, 3]
        assert batch.counts["done"] == 3  # type: ignore[index]  # its keys are strings


async def test_one_that_swallowed_the_stop_and_was_resumed_is_completed(store_url: str) -> None:
    class Patient(Counting):
        async def process_job(self, batch_job_id: str, /) -> None:
            try:
                await super().process_job(batch_job_id)
            except BatchStoppedError:
                await app.batches.resume(batch_job_id)
                await super().process_job(batch_job_id)

    strategy = Patient(at(2, lambda run: app.batches.pause(run.batch_job.id)))
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3})
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED
        assert (strategy.rows, strategy.told.count("before")) == ([1, 2, 3], 1)


async def test_a_job_that_finds_a_stop_which_is_taken_back_begins_nevertheless(store_url: str) -> None:
    is_resumed, has_found = anyio.Event(), anyio.Event()

    def hold_up(call: StoreCall, /) -> FaultKind | None:
        if call.verb != "change_batch" or is_resumed.is_set():
            return None
        has_found.set()
        return FaultKind.FAIL_BEFORE

    async with open_store(store_url) as store:
        app = Conveyor(store, batch_strategies=[Counting])
        async with app:
            batch = await app.batches.create("count", {"rows": 2}, confirmation="manual")
            async with app.worker():
                await comes_to(batch, BatchStatus.PRE_PROCESSED)
                await eventually(lambda: is_settled(app, 1))
            await batch.confirm()
            # A run began, was to pause, and died.
            died = BatchChange("died", BatchCommand.START, run="a dead one")
            await app._services.batch_store("the test").change_batch(batch.id, died)
            await batch.pause()
            held_up = Conveyor(FaultyStore(store, hold_up), batch_strategies=[strategy := Counting()])
            async with held_up, held_up.worker():
                with anyio.fail_after(10):
                    await has_found.wait()
                await batch.resume()
                is_resumed.set()
                assert (await batch.wait_until_ended("20s")).status is BatchStatus.COMPLETED
            assert strategy.rows == [1, 2]
