"""Batch jobs that nothing works for any more, and those that are old: what the passes of maintenance make of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import BatchStatus, Conveyor, Retention
from conveyor._services.maintenance.batches import end_stranded, remove_old
from conveyor.errors import BatchJobNotFoundError
from tests.app.batches.strategies import Counting

if TYPE_CHECKING:
    from conveyor.contracts.batch_job import BatchRun

pytestmark = pytest.mark.anyio


async def look(app: Conveyor) -> int:
    """End what is stranded, as a worker does from time to time."""
    return await end_stranded(app._services, app._services.store)


async def test_one_whose_job_was_removed_fails_and_says_why(store_url: str) -> None:
    strategy = Counting()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app:
        batch = await app.batches.create("count", {})
        assert await look(app) == 0
        await app.queue("batches").drain()
        assert await look(app) == 1
        assert await look(app) == 0
        await batch.refresh()
        assert batch.status is BatchStatus.FAILED
        assert batch.error == batch.history[-1].reason == "the job that worked for it was removed"
        assert strategy.told == ["failure the job that worked for it was removed"]
        async with app.worker():
            await batch.retry()
            assert (await batch.wait_until_ended("10s")).status is BatchStatus.COMPLETED


async def test_one_whose_job_was_cancelled_is_cancelled(store_url: str) -> None:
    strategy = Counting()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app:
        batch = await app.batches.create("count", {})
        await (await app.jobs.get(batch.data.job_id or "")).cancel("enough")
        assert await look(app) == 1
        await batch.refresh()
        assert batch.status is BatchStatus.CANCELLED
        assert "enough" in (batch.history[-1].reason or "")
        assert strategy.told == ["cancel"]


async def test_one_whose_job_is_cancelled_while_it_runs_is_cancelled(store_url: str) -> None:
    begun = anyio.Event()

    async def hang(run: BatchRun, number: int) -> None:
        begun.set()
        await anyio.sleep_forever()

    strategy = Counting(hang)
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker(stalled_interval="50ms"):
        batch = await app.batches.create("count", {"rows": 1})
        with anyio.fail_after(10):
            await begun.wait()
        await (await app.jobs.get((await batch.refresh()).data.job_id or "")).cancel("enough")
        assert (await batch.wait_until_ended("10s")).status is BatchStatus.CANCELLED
        assert strategy.rows == []


@pytest.mark.parametrize(("command", "ends"), [("pause", BatchStatus.PAUSED), ("cancel", BatchStatus.CANCELLED)])
async def test_one_that_was_to_stop_has_stopped_when_its_job_is_gone(
    store_url: str, command: str, ends: BatchStatus
) -> None:
    begun = anyio.Event()

    async def hang(run: BatchRun, number: int) -> None:
        await getattr(app.batches, command)(run.batch_job.id)
        await (await app.jobs.get(run.batch_job.job_id or "")).cancel("enough")
        begun.set()
        # Its last words are lost: the run is told by nobody else.
        with anyio.CancelScope(shield=True):
            await done.wait()

    done = anyio.Event()
    strategy = Counting(hang)
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 1})
        with anyio.fail_after(10):
            await begun.wait()
        assert await look(app) == 1
        assert (await batch.refresh()).status is ends
        done.set()


async def test_what_ended_long_ago_is_removed(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Counting])
    async with app:
        batch = await app.batches.create("count", {})
        old = Retention(max_age=timedelta(microseconds=1))
        assert await remove_old(app._services, app._services.store, old) == 0
        await batch.cancel()
        assert await remove_old(app._services, app._services.store, Retention()) == 0
        assert await remove_old(app._services, app._services.store, Retention(max_age=None)) == 0
        assert await remove_old(app._services, app._services.store, old) == 1
        with pytest.raises(BatchJobNotFoundError):
            await batch.refresh()
