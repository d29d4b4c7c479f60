"""What an app tells of its runs and queues, and who adds it up."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, Retention, Snooze, __version__, fixed
from conveyor.errors import CapabilityError, ConfigurationError
from conveyor.model.job import AttemptOutcome
from conveyor.model.states import JobState
from conveyor.testing.clocks import ManualClock
from conveyor.testing.stores import open_store
from tests.eventually import eventually

if TYPE_CHECKING:
    from conveyor.contracts.store import Store

pytestmark = pytest.mark.anyio

WAIT = timedelta(seconds=3)


async def test_runs_are_counted_with_their_times() -> None:
    app = Conveyor("memory://")
    emails = app.queue("emails")

    @emails.job()
    async def send() -> None:
        await anyio.sleep(0.01)

    @emails.job(attempts=2, backoff=fixed(0))
    async def fail() -> None:
        raise ValueError("no such address")

    @app.queue("reports").job()
    async def put_off() -> Snooze:
        return Snooze("1 hour")

    async with app, app.worker():
        jobs = [await send.add(), await fail.add()]
        later = await put_off.add()
        for job in jobs:
            await job.wait_until_finished(timeout="10s")

        async def is_put_off() -> bool:
            return (await later.refresh()).state is JobState.DELAYED

        await eventually(is_put_off)
        metrics = await app.metrics()
        of_emails = await app.metrics("emails", window=None)
    found = {one.name.rpartition(".")[2]: one for one in metrics.totals()}
    assert found["send"].outcomes == {AttemptOutcome.COMPLETED: 1}
    assert found["send"].runs.total >= timedelta(seconds=0.01)
    assert found["send"].runs.count == found["send"].waits.count == 1
    assert found["fail"].outcomes == {AttemptOutcome.RETRIED: 1, AttemptOutcome.FAILED: 1}
    assert found["put_off"].outcomes == {AttemptOutcome.SNOOZED: 1}
    assert [depth.counts[JobState.DELAYED] for depth in metrics.depths] == [0, 1]
    assert (of_emails.total().count, [depth.queue_name for depth in of_emails.depths]) == (3, ["emails"])


async def test_a_job_waits_from_when_it_is_due() -> None:
    clock = ManualClock()
    app = Conveyor("memory://", clock=clock)

    @app.queue("work").job()
    async def nothing() -> None: ...

    async with app:
        job = await nothing.add()
        clock.advance(WAIT)
        async with app.worker():
            await job.wait_until_finished(timeout="10s")
        waits = (await app.metrics()).total().waits
    assert waits.total == WAIT


@pytest.mark.parametrize("window", [0, -1, "soon", "0s"])
async def test_a_bad_window_is_refused(window: Any) -> None:
    async with Conveyor("memory://") as app:
        with pytest.raises(ConfigurationError, match="window"):
            await app.metrics(window=window)


async def test_a_store_that_counts_nothing_says_so() -> None:
    async with open_store("memory://", clock=ManualClock()) as store:
        assert hasattr(store, "metrics")
        async with Conveyor(_without_metrics(store)) as app:
            with pytest.raises(CapabilityError, match="metrics"):
                await app.metrics()

            # Its workers go on all the same.
            @app.queue("work").job()
            async def nothing() -> None: ...

            async with app.worker(retention_interval="10ms"):
                await (await nothing.add()).result(timeout="10s")


def _without_metrics(store: Any) -> Store:
    store.metrics = None
    whole: Store = store
    return whole


async def test_a_worker_adds_old_metrics_up() -> None:
    clock = ManualClock()
    app = Conveyor("memory://", clock=clock, retention=Retention(metric_minutes="1 minute", metric_hours="1 hour"))

    @app.queue("work").job()
    async def nothing() -> None: ...

    async with app:
        for _ in range(2):
            async with app.worker():
                await (await nothing.add()).result(timeout="10s")
            clock.advance("1 day")

        async def is_one_sum() -> bool:
            return [one.span for one in (await app.metrics(window=None)).roll_ups] == [None]

        async with app.worker(retention_interval="10ms"):
            await eventually(is_one_sum)
        assert (await app.metrics(window=None)).total().outcomes == {AttemptOutcome.COMPLETED: 2}


async def test_workers_tell_who_they_are_and_what_they_have_in_hand() -> None:
    app = Conveyor("memory://")
    began, may_end = anyio.Event(), anyio.Event()

    @app.queue("work").job()
    async def wait() -> None:
        began.set()
        await may_end.wait()

    async with app:
        assert list(await app.workers()) == []
        async with app.worker(concurrency=3, lock_duration="20s"):
            await wait.add()
            await began.wait()
            (worker,) = await app.workers()
            may_end.set()
        assert list(await app.workers()) == []
    assert (worker.queue_names, worker.concurrency, worker.running_count) == (("work",), 3, 1)
    assert worker.version == __version__
    assert worker.opened_at is not None
    assert worker.last_seen_at is not None
    assert worker.last_seen_at >= worker.opened_at
    assert not worker.is_lost(worker.last_seen_at)
