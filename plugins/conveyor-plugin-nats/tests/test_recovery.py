"""A crash between any two steps: whatever was acknowledged is delivered, and whatever ended stays so."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest
from conveyor_plugin_nats.naming import Kind
from conveyor_plugin_nats.runs import EARLY
from opened import completed, failed, fetch_one, new_job, no_process, open_queue
from server import Server

from conveyor.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor_plugin_nats.queue import NatsDelivery, NatsJobQueue

pytestmark = pytest.mark.anyio

AT_ONCE = timedelta(0)
LOCK = "lock_duration=400ms"


async def kinds_of(queue: NatsJobQueue, job_id: str) -> set[Kind]:
    """Return which messages there are of a job that has ended, once the server has heard so."""
    jetstream, stream = queue._desk.connection.jetstream, queue.options.stream
    while True:
        info = await queue._bridge.call(lambda: jetstream.stream_info(stream, f"{stream}.*.*.{job_id}"))
        kinds = {Kind(name.split(".")[1]) for name in info.state.subjects or {}}
        if Kind.JOB not in kinds:
            return kinds


def die_at(delivery: NatsDelivery, step: str) -> None:
    """Let the process of a delivery die, as far as the server can tell, just before one of its steps."""
    run = delivery._run

    async def die(*given: object, **more: object) -> None:
        raise StoreUnavailableError("dead")

    class Dead:
        def __getattr__(self, name: str) -> Callable[..., object]:
            return die if name == step else getattr(connection, name)

    class DeadClient:
        publish = staticmethod(die)

    connection = run.connection
    run.connection = Dead()  # type: ignore[assignment]  # a fake
    if step == "acknowledge":
        run.connection.client = DeadClient()  # type: ignore[assignment]  # a fake


@pytest.mark.parametrize("step", ["write", "acknowledge"])
async def test_a_crash_while_a_job_completes(url: str, step: str) -> None:
    async with open_queue(f"{url}&{LOCK}", "orders") as queue:
        await queue.add(new_job("a"))
        first = await fetch_one(queue)
        die_at(first, step)
        with pytest.raises(StoreUnavailableError):
            await first.settle(completed(first.job, b"1"))
        await queue.add(new_job("z", delay=timedelta(seconds=1)))
        again = await fetch_one(queue)
        if step == "write":
            assert (again.job.id, again.job.stalled_count) == ("a", 1)
            await again.settle(completed(again.job, b"2"))
        else:
            assert again.job.id == "z"
        assert await kinds_of(queue, "a") == {Kind.DONE}


@pytest.mark.parametrize("step", ["write", "purge", "acknowledge"])
async def test_a_crash_while_a_job_that_ran_before_fails_for_good(url: str, step: str) -> None:
    async with open_queue(f"{url}&{LOCK}", "orders") as queue:
        await queue.add(new_job("a"))
        await (await fetch_one(queue)).hand_back(AT_ONCE, is_counted=True)
        second = await fetch_one(queue)
        die_at(second, step)
        with pytest.raises(StoreUnavailableError):
            await second.settle(failed(second.job, ValueError("broken")))
        await queue.add(new_job("z", delay=timedelta(seconds=1)))
        again = await fetch_one(queue)
        if step == "write":
            assert (again.job.id, again.job.attempts_made, again.job.stalled_count) == ("a", 1, 1)
            await again.settle(failed(again.job, ValueError("broken")))
        else:
            assert again.job.id == "z"
        assert await kinds_of(queue, "a") == {Kind.DEAD}


@pytest.mark.parametrize("step", ["write", "acknowledge"])
async def test_a_crash_while_a_job_is_handed_back(url: str, step: str) -> None:
    async with open_queue(f"{url}&{LOCK}", "orders") as queue:
        await queue.add(new_job("a"))
        first = await fetch_one(queue)
        die_at(first, step)
        with pytest.raises(StoreUnavailableError):
            await first.hand_back(AT_ONCE, is_counted=True)
        again = (await fetch_one(queue)).job
        assert (again.attempts_made, again.stalled_count) == ((0, 1) if step == "write" else (1, 0))


async def test_a_retry_whose_wait_the_server_forgot_waits_all_the_same(url: str) -> None:
    async with open_queue(f"{url}&{LOCK}", "orders") as queue:
        await queue.add(new_job("a"))
        first = await fetch_one(queue)
        die_at(first, "acknowledge")
        began = anyio.current_time()
        with pytest.raises(StoreUnavailableError):
            await first.hand_back(timedelta(seconds=2), is_counted=True)
        again = await fetch_one(queue)
        # The server delivers it once the lock is over; it goes back, unless it is nearly due by then.
        assert anyio.current_time() - began >= 2 - EARLY.total_seconds()
        assert (again.job.attempts_made, again.job.stalled_count) == (1, 0)


async def test_a_settlement_whose_answer_was_lost_is_repeated(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        await queue.add(new_job("a"))
        first = await fetch_one(queue)
        die_at(first, "acknowledge")
        connection = queue._desk.connection
        with pytest.raises(StoreUnavailableError):
            await first.settle(completed(first.job, b"1"))
        first._run.connection = connection
        first._run.fence = first._run.message.metadata.sequence.stream  # as if the answer had not come
        await first.settle(completed(first.job, b"1"))
        assert await kinds_of(queue, "a") == {Kind.DONE}


async def test_jobs_outlive_a_server_that_is_killed(mortal: Server) -> None:
    url = f"{mortal.url}?lock_duration=1s&timeout=1s"
    async with open_queue(url, "orders") as queue:
        await queue.add_many([new_job("held"), new_job("retried"), new_job("waiting")])
        await queue.add(new_job("delayed", delay=timedelta(seconds=1)))
        held, retried = await fetch_one(queue), await fetch_one(queue)
        await retried.hand_back(timedelta(seconds=1), is_counted=True)
        mortal.kill()
        with pytest.raises(StoreUnavailableError):
            await held.settle(completed(held.job))
        with pytest.raises(StoreUnavailableError):
            await queue.add(new_job("unheard"))
        mortal.start()
        await settle_until_it_answers(held)
        left: dict[str, int] = {}
        while len(left) < 3:
            delivery = await fetch_until_it_answers(queue)
            left[delivery.job.id] = delivery.job.attempts_made
            await delivery.settle(completed(delivery.job))
        left.pop("unheard", None)
        assert left.items() <= {"retried": 1, "waiting": 0, "delayed": 0}.items()


async def settle_until_it_answers(delivery: NatsDelivery) -> None:
    while True:
        try:
            return await delivery.settle(completed(delivery.job))
        except StoreUnavailableError:
            await anyio.lowlevel.checkpoint()


async def fetch_until_it_answers(queue: NatsJobQueue) -> NatsDelivery:
    while True:
        try:
            return await fetch_one(queue)
        except StoreUnavailableError:
            await anyio.lowlevel.checkpoint()


async def test_a_job_whose_workers_die_becomes_a_dead_letter(url: str) -> None:
    async with open_queue(f"{url}&lock_duration=300ms&max_stalled=1", "orders") as queue:
        await queue.add(new_job("a"))
        await fetch_one(queue)
        assert (await fetch_one(queue)).job.stalled_count == 1
        await queue.add(new_job("z", delay=timedelta(seconds=1)))
        assert (await fetch_one(queue)).job.id == "z"
        assert await kinds_of(queue, "a") == {Kind.DEAD}


async def test_a_fetch_that_waits_goes_on_once_the_server_is_back(mortal: Server) -> None:
    brought: list[str] = []
    async with open_queue(mortal.url, "orders") as queue, anyio.create_task_group() as tasks:

        async def fetch() -> None:
            brought.append((await fetch_until_it_answers(queue)).job.id)
            tasks.cancel_scope.cancel()

        tasks.start_soon(fetch)
        await anyio.wait_all_tasks_blocked()
        mortal.kill()
        mortal.start()
        while not brought:
            try:
                await queue.add(new_job("a"))
                break
            except StoreUnavailableError:
                await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            await anyio.sleep_forever()
    assert brought == ["a"]


async def test_a_queue_whose_server_is_gone_is_stopped_all_the_same(mortal: Server) -> None:
    async with open_queue(f"{mortal.url}?timeout=500ms", "orders") as queue:
        await queue.add(new_job("a"))
        await fetch_one(queue)
        mortal.kill()
        await queue.stop("orders", no_process)
    # What opened it raises where closing takes longer than it should.


async def fill(queue: NatsJobQueue) -> tuple[int, str]:
    """Add jobs until the server has no room for another, and return how many it took, and what it says."""
    added = 0
    while True:
        try:
            await queue.add(new_job(f"{added}", b"x" * 100_000))
        except StoreUnavailableError as exc:
            return added, str(exc)
        added += 1


async def test_a_server_that_is_full_keeps_what_it_has_and_says_so() -> None:
    server = Server(jetstream="max_file_store: 1MB")
    try:
        server.start()
        async with open_queue(server.url, "orders") as queue:
            added, reason = await fill(queue)
            assert added
            assert "disk" in reason
            deliveries: list[NatsDelivery] = []
            while len(deliveries) < added:
                deliveries += await queue.fetch("orders", 10)
            assert len({delivery.job.id for delivery in deliveries}) == added
    finally:
        server.remove()


async def test_many_large_jobs_at_once_are_not_dropped_on_the_way(url: str) -> None:
    async with open_queue(f"{url}&timeout=20s", "orders") as queue:
        await queue.add_many([new_job(f"{number}", b"x" * 900_000) for number in range(60)])
        deliveries: list[NatsDelivery] = []
        while len(deliveries) < 60:
            deliveries += await queue.fetch("orders", 60)
        assert len({delivery.job.id for delivery in deliveries}) == 60
        assert all(delivery.job.stalled_count == 0 for delivery in deliveries)


async def test_a_stream_that_was_removed_is_unavailable_and_made_again_by_the_next_to_open(url: str) -> None:
    async with open_queue(f"{url}&timeout=1s", "orders") as queue:
        jetstream = queue._desk.connection.jetstream
        await queue._bridge.call(lambda: jetstream.delete_stream(queue.options.stream))
        with pytest.raises(StoreUnavailableError, match="is the stream still there"):
            await queue.add(new_job("a"))
        with pytest.raises(StoreUnavailableError):
            await queue.fetch("orders", 1)
        async with open_queue(url):
            await queue.add(new_job("a"))
            assert (await fetch_one(queue)).job.id == "a"
            await queue.stop("orders", no_process)


async def test_a_consumer_that_was_removed_is_made_again_and_nothing_is_lost(url: str) -> None:
    async with open_queue(f"{url}&timeout=1s", "orders") as queue:
        await queue.add(new_job("a"))
        jetstream = queue._desk.connection.jetstream
        await queue._bridge.call(lambda: jetstream.delete_consumer(queue.options.stream, "orders"))
        assert (await fetch_until_it_answers(queue)).job.id == "a"
