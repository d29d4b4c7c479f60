"""Deliveries: jobs of a broker are run as those of a store are, and none is lost or held for nothing."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import BatchOptions, Cancel, Conveyor, JobContext, Snooze, exponential
from conveyor.contracts.job_queue import JobQueueCapabilities
from conveyor.errors import CapabilityError, ConfigurationError
from conveyor.model.queries import JobFilter
from conveyor.model.states import Command
from conveyor.testing.clocks import jumping_backends
from tests.post_office import Office, PostQueue

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Both backends, with clocks that jump."""
    return request.param


@pytest.fixture
def office() -> Office:
    """An office with no letters."""
    return Office()


@pytest.fixture
def strategy(office: Office) -> PostQueue:
    """A strategy over the office."""
    return PostQueue(office)


@pytest.fixture
def app(strategy: PostQueue) -> Conveyor:
    """An app that adds to the office."""
    return Conveyor("memory://", job_queue=strategy)


async def until(condition: Callable[[], object]) -> None:
    """Let others run until the condition holds; the clock jumps meanwhile."""
    with anyio.fail_after(1000):
        while not condition():  # noqa: ASYNC110 - fakes set no events
            await anyio.sleep(0.01)


async def test_jobs_are_run_in_order_and_settled(app: Conveyor, office: Office) -> None:
    ran: list[int] = []

    @app.queue("work").job()
    async def note(number: int) -> int:
        ran.append(number)
        return 2 * number

    async with app, app.worker(concurrency=1):
        await note.add_many([note.new(number) for number in range(20)])
        await until(lambda: len(office.settled) == 20)
    assert ran == list(range(20))
    assert office.settled[1].result == b"2"
    assert office.letters["work"] == []
    assert office.handed_back == []


async def test_what_is_taken_is_no_more_than_there_is_room_for(
    app: Conveyor, office: Office, strategy: PostQueue
) -> None:
    running = 0
    most = 0
    go_on = anyio.Event()

    @app.queue("work").job()
    async def wait() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go_on.wait()
        running -= 1

    async with app, app.worker(concurrency=3):
        await wait.add_many([wait.new() for _ in range(10)])
        await until(lambda: running == 3)
        await anyio.sleep(5)
        assert len({id(delivery) for delivery in strategy.given}) <= 3 + len(office.handed_back)
        go_on.set()
        await until(lambda: len(office.settled) == 10)
    assert most == 3


async def test_a_failed_attempt_comes_again_after_its_backoff_and_then_fails_for_good(
    app: Conveyor, office: Office
) -> None:
    attempts: list[int] = []

    @app.queue("work").job(attempts=3, backoff=exponential("10s", jitter=0))
    async def fail(ctx: JobContext) -> None:
        attempts.append(ctx.attempt)
        raise ValueError("no paper")

    async with app, app.worker():
        await fail.add()
        await until(lambda: office.settled)
    assert attempts == [1, 2, 3]
    assert [(delay.total_seconds(), is_counted) for _, delay, is_counted in office.handed_back] == [
        (10, True),
        (20, True),
    ]
    (end,) = office.settled
    assert end.command is Command.FAIL
    assert end.error is not None
    assert end.error.message == "no paper"


async def test_without_delays_a_retry_is_at_once_and_a_snooze_is_refused(office: Office) -> None:
    strategy = PostQueue(office, JobQueueCapabilities(has_retries=True))
    app = Conveyor("memory://", job_queue=strategy)
    queue = app.queue("work")

    @queue.job(attempts=2, backoff=exponential("10s"))
    async def fail() -> None:
        raise ValueError("no paper")

    @queue.job()
    async def snooze() -> Snooze:
        return Snooze("1h")

    @queue.job()
    async def give_up() -> Cancel:
        return Cancel("sold out")

    async with app, app.worker(concurrency=1):
        await fail.add()
        await snooze.add()
        await give_up.add()
        await until(lambda: len(office.settled) == 3)
    assert [delay for _, delay, _ in office.handed_back] == [timedelta(0)]
    by_command = {settlement.command: settlement for settlement in office.settled}
    assert by_command[Command.STOP].error is not None
    errors = [str(settlement.error) for settlement in office.settled if settlement.command is Command.FAIL]
    assert sorted(error.split(":")[0] for error in errors) == ["CapabilityError", "ValueError"]


async def test_a_long_run_is_extended_and_its_delivery_goes_to_nobody_else(
    app: Conveyor, office: Office, strategy: PostQueue
) -> None:
    runs = 0

    @app.queue("work").job()
    async def last() -> None:
        nonlocal runs
        runs += 1
        await anyio.sleep(10 * office.lock.total_seconds())

    async with app, app.worker():
        await last.add()
        await until(lambda: office.settled)
    assert runs == 1
    (delivery,) = strategy.given
    assert delivery.extended >= 20


async def test_a_run_whose_delivery_is_lost_is_cancelled_and_settles_nothing(
    app: Conveyor, office: Office, strategy: PostQueue
) -> None:
    cancelled: list[bool] = []
    begun = anyio.Event()

    @app.queue("work").job()
    async def last() -> None:
        if begun.is_set():
            return
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(True)

    async with app, app.worker():
        await last.add()
        await begun.wait()
        (letter,) = office.letters["work"]
        letter.carrier += 1
        letter.due_at = anyio.current_time() + 1000
        await until(lambda: cancelled)
        assert office.settled == []
        letter.due_at = anyio.current_time()
        office.tell()
        await until(lambda: office.settled)
    assert len(office.settled) == 1


async def test_a_broker_that_cannot_be_reached_is_asked_again_and_an_end_is_settled_then(
    app: Conveyor, office: Office
) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    @app.queue("work").job()
    async def work() -> str:
        begun.set()
        await go_on.wait()
        return "done"

    async with app, app.worker():
        await work.add()
        await begun.wait()
        office.is_closed = True
        go_on.set()
        await until(lambda: office.failures > 3)
        assert office.settled == []
        office.is_closed = False
        await until(lambda: office.settled)
        await work.add()
        await until(lambda: len(office.settled) == 2)
    assert [settlement.result for settlement in office.settled] == [b'"done"', b'"done"']


async def test_a_stopping_worker_hands_back_what_does_not_end_in_time_and_counts_no_attempt(
    app: Conveyor, office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    begun = anyio.Event()

    @app.queue("work").job()
    async def last() -> None:
        begun.set()
        await anyio.sleep_forever()

    with caplog.at_level(logging.WARNING):
        async with app, app.worker(shutdown_grace="1s"):
            job = await last.add()
            await begun.wait()
    assert office.handed_back == [(job.id, timedelta(0), False)]
    assert office.letters["work"][0].attempts_made == 0
    assert "1 jobs did not end within 1 s; handing them back" in caplog.text


async def test_a_cancelled_program_hands_back_what_it_ran(app: Conveyor, office: Office) -> None:
    begun = anyio.Event()

    @app.queue("work").job()
    async def last() -> None:
        begun.set()
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        async with app, app.worker():
            await last.add()
            await begun.wait()
            scope.cancel()
    assert [is_counted for _, _, is_counted in office.handed_back] == [False]


async def test_what_is_delivered_for_a_worker_that_has_no_room_any_more_goes_back(
    app: Conveyor, office: Office
) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    @app.queue("first").job()
    async def last() -> None:
        begun.set()
        await go_on.wait()

    @app.queue("second").job()
    async def wait() -> None:
        """Ran once there is room."""

    async with app, app.worker(concurrency=1):
        # Both queues were asked for one; the worker has room for one.
        await last.add()
        await begun.wait()
        job = await wait.add()
        await until(lambda: office.handed_back)
        assert office.handed_back[0] == (job.id, timedelta(0), False)
        assert office.letters["second"][0].due_at <= anyio.current_time()
        go_on.set()
        await until(lambda: len(office.settled) == 2)


async def test_timeouts_and_sync_and_batch_handlers_are_as_ever(app: Conveyor, office: Office) -> None:
    queue = app.queue("work")

    @queue.job(timeout="1s")
    async def last() -> None:
        await anyio.sleep_forever()

    @queue.job()
    def count() -> int:
        return 7

    @queue.job(batch=BatchOptions(size=3, linger="1s"))
    async def gather(numbers: list[int]) -> list[int]:
        return [len(numbers)] * len(numbers)

    async with app, app.worker():
        await last.add()
        await count.add()
        await gather.add_many([gather.new(number) for number in range(3)])
        await until(lambda: len(office.settled) == 5)
    assert [str(end.error) for end in office.settled if end.error] == ["TimeoutError: the run took longer than 0:00:01"]
    assert sorted(end.result for end in office.settled if end.result) == [b"3", b"3", b"3", b"7"]


async def test_logs_and_progress_of_a_run_go_to_the_programs_log(
    app: Conveyor, office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    @app.queue("work").job()
    async def talk(ctx: JobContext) -> None:
        ctx.log("half way")
        ctx.progress(1, 2)

    with caplog.at_level(logging.DEBUG, "conveyor.jobs"):
        async with app, app.worker():
            job = await talk.add()
            await until(lambda: office.settled)
    assert f"job {job.id}: half way" in caplog.text
    assert f"job {job.id}: Progress(done=1.0, total=2.0" in caplog.text


@pytest.mark.parametrize(
    ("options", "needed_by"),
    [
        ({"priority": 1}, "priority= or lifo="),
        ({"lifo": True}, "priority= or lifo="),
        ({"expires": "1h"}, "expires="),
        ({"delay": "1h"}, "delay= or run_at="),
        ({"attempts": 2}, "attempts="),
    ],
)
async def test_options_that_are_not_heeded_are_refused_and_nothing_is_added(
    office: Office, options: Any, needed_by: str
) -> None:
    app = Conveyor("memory://", job_queue=PostQueue(office, JobQueueCapabilities()))
    queue = app.queue("work")
    async with app:
        with pytest.raises(CapabilityError, match="which the job queue 'PostQueue' does not have") as caught:
            await queue.add("pack", **options)
        assert caught.value.needed_by == needed_by
        with pytest.raises(CapabilityError):
            await queue.add_many([queue.new("pack"), queue.new("pack", **options)])
    assert office.letters["work"] == []


async def test_what_a_broker_cannot_answer_is_refused_by_name(app: Conveyor) -> None:
    queue = app.queue("work")
    async with app:
        job = await queue.add("pack")
        for refused in (
            job.refresh,
            job.cancel,
            job.logs,
            queue.counts,
            queue.pause,
            queue.drain,
            lambda: job.result(timeout="1s"),
            lambda: app.jobs.get(job.id),
            lambda: app.jobs.count(JobFilter()),
            app.schedules.list,
            lambda: app.schedules.upsert("daily", queue.new("pack"), every="1h"),
            lambda: queue.add("pack", connection=object()),
        ):
            with pytest.raises(CapabilityError):
                await refused()


async def test_two_workers_of_one_app_do_not_share_a_queue(app: Conveyor) -> None:
    @app.queue("work").job()
    async def work() -> None:
        """Not run."""

    async with app:
        async with app.worker():
            with pytest.raises(ConfigurationError, match="queue 'work' is served by another worker of this app"):
                async with app.worker():
                    pytest.fail("it should have been refused")
        async with app.worker():
            """The first one is gone."""


async def test_a_declared_schedule_is_refused_when_the_app_opens(app: Conveyor) -> None:
    queue = app.queue("work")

    @queue.job()
    async def work() -> None:
        """Not run."""

    queue.every("1h", work.new())
    with pytest.raises(CapabilityError, match="a declared schedule"):
        async with app:
            pytest.fail("it should have been refused")
