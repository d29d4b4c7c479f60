"""What is added is delivered; who may settle it; what is delivered again, and what is not."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest
from conveyor_plugin_nats.naming import Kind
from gaps import watch_gaps
from opened import completed, failed, fetch_one, new_job, no_process, open_queue

from conveyor.errors import InvalidJobStateError, LockLostError
from conveyor.model.queries import Added
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from conveyor_plugin_nats.connection import Kept
    from conveyor_plugin_nats.queue import NatsDelivery, NatsJobQueue

pytestmark = pytest.mark.anyio

NOW = timedelta(0)
LOCK_SECONDS = 0.6


async def latest(queue: NatsJobQueue, job_id: str) -> Kept | None:
    return await queue._bridge.call(lambda: queue._desk.connection.latest(job_id))


async def test_a_job_is_delivered_as_it_was_added(url: str) -> None:
    given = new_job(
        "a", b'{"args":["\xc3\xa9"]}', attempts=3, tags=("x", "y"), metadata={"k": "\u00fc\n"}, timeout="3s"
    )
    async with open_queue(url, "orders") as queue:
        assert (await queue.add(given)).outcome is Added.ADDED
        job = (await fetch_one(queue)).job
    assert (job.id, job.queue_name, job.name, job.payload) == ("a", "orders", "pack", given.payload)
    assert job.options == given.options
    assert (job.state, job.attempts_made, job.stalled_count) == (JobState.ACTIVE, 0, 0)


async def test_a_settled_job_is_never_delivered_again(url: str) -> None:
    async with open_queue(f"{url}&lock_duration=500ms", "orders") as queue:
        await queue.add(new_job("a"))
        first = await fetch_one(queue)
        await first.settle(completed(first.job, b"7"))
        await queue.add(new_job("b"))
        assert (await fetch_one(queue)).job.id == "b"
        kept = await latest(queue, "a")
    assert kept is not None
    assert (kept.kind, kept.body) == (Kind.DONE, b"7")


async def test_many_are_added_and_fetched_at_once_in_order(url: str) -> None:
    ids = [f"{number:03}" for number in range(300)]
    async with open_queue(url, "orders") as queue:
        receipts = await queue.add_many([new_job(job_id) for job_id in ids])
        assert [receipt.job_id for receipt in receipts] == ids
        deliveries: list[NatsDelivery] = []
        while len(deliveries) < len(ids):
            deliveries += await queue.fetch("orders", 100)
    assert sorted(delivery.job.id for delivery in deliveries) == ids


async def test_a_job_of_a_worker_that_says_nothing_goes_to_another_as_a_stall(url: str) -> None:
    async with open_queue(f"{url}&lock_duration=300ms", "orders") as queue:
        await queue.add(new_job("a"))
        await fetch_one(queue)
        second = await fetch_one(queue)
        assert (second.job.id, second.job.attempts_made, second.job.stalled_count) == ("a", 0, 1)
        third = await fetch_one(queue)
        assert third.job.stalled_count == 2


async def test_a_zombie_cannot_settle_hand_back_or_extend(url: str) -> None:
    async with open_queue(f"{url}&lock_duration=300ms", "orders") as queue:
        await queue.add(new_job("a"))
        zombie = await fetch_one(queue)
        owner = await fetch_one(queue)
        with pytest.raises(LockLostError):
            await zombie.settle(completed(zombie.job, b'"zombie"'))
        with pytest.raises(LockLostError):
            await zombie.hand_back(NOW, is_counted=True)
        with pytest.raises(LockLostError):
            await zombie.extend()
        await owner.settle(completed(owner.job, b'"owner"'))
        kept = await latest(queue, "a")
    assert kept is not None
    assert kept.body == b'"owner"'


async def test_a_zombie_cannot_settle_what_has_ended(url: str) -> None:
    async with open_queue(f"{url}&lock_duration=300ms", "orders") as queue:
        await queue.add(new_job("a"))
        zombie = await fetch_one(queue)
        owner = await fetch_one(queue)
        await owner.settle(completed(owner.job))
        with pytest.raises(LockLostError):
            await zombie.settle(failed(zombie.job, ValueError("late")))


async def test_an_extended_job_stays(url: str) -> None:
    gap, has_stayed = None, False
    async with open_queue(f"{url}&lock_duration={LOCK_SECONDS}s", "orders") as queue:
        while gap is None or gap.seconds > LOCK_SECONDS / 3:  # it was kept from extending, which says nothing
            await queue.add(new_job(secrets.token_hex(4)))
            async with watch_gaps() as gap:
                has_stayed = await stays_while_extended(queue)
    assert has_stayed


async def stays_while_extended(queue: NatsJobQueue) -> bool:
    """Extend the next job for twice its lock, and return whether it was delivered only after that."""
    held = await fetch_one(queue)
    again, has_stayed = anyio.Event(), False

    async def fetch_again() -> None:
        delivery = await fetch_one(queue)
        again.set()
        await delivery.settle(completed(delivery.job))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fetch_again)
        try:
            for _ in range(6):
                with anyio.move_on_after(LOCK_SECONDS / 3):
                    await again.wait()
                await held.extend()
            has_stayed = not again.is_set()
        except LockLostError:
            has_stayed = False
        await again.wait()
    return has_stayed


async def test_a_job_that_is_handed_back_uncounted_costs_neither_attempt_nor_stall(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        await queue.add(new_job("a"))
        await (await fetch_one(queue)).hand_back(NOW, is_counted=False)
        again = await fetch_one(queue)
        assert (again.job.attempts_made, again.job.stalled_count) == (0, 0)
        await again.hand_back(NOW, is_counted=True)
        third = await fetch_one(queue)
        assert (third.job.attempts_made, third.job.stalled_count) == (1, 0)


async def test_a_retry_waits_for_its_delay(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        await queue.add_many([new_job("a"), new_job("b")])
        first = await fetch_one(queue)
        before = anyio.current_time()
        await first.hand_back(timedelta(milliseconds=700), is_counted=True)
        other = await fetch_one(queue)
        again = await fetch_one(queue)
        assert (other.job.id, again.job.id) == ("b", "a")
        assert anyio.current_time() - before >= 0.7


async def test_a_delayed_job_comes_at_its_time_and_not_before(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        before = datetime.now(UTC)
        await queue.add(new_job("a", delay=timedelta(milliseconds=700)))
        await queue.add(new_job("b", run_at=before + timedelta(days=400)))
        await queue.add(new_job("c", run_at=before - timedelta(days=1)))
        assert (await fetch_one(queue)).job.id == "c"
        job = (await fetch_one(queue)).job
        assert job.id == "a"
        assert datetime.now(UTC) - before >= timedelta(milliseconds=700)
        kept = await latest(queue, "b")
    assert kept is not None
    assert kept.kind is Kind.LATER


async def test_a_job_that_expired_is_cancelled_and_not_delivered(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        await queue.add(new_job("a", expires=timedelta(microseconds=1)))
        await queue.add(new_job("b"))
        assert (await fetch_one(queue)).job.id == "b"
        kept = await latest(queue, "a")
    assert kept is not None
    assert "cancelled" in kept.headers["Conveyor-Run"]


async def test_a_job_that_failed_for_good_is_a_dead_letter_with_its_arguments(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        await queue.add(new_job("a", b'{"args":[1]}'))
        first = await fetch_one(queue)
        await first.hand_back(NOW, is_counted=True)
        second = await fetch_one(queue)
        await second.settle(failed(second.job, ValueError("broken")))
        kept = await latest(queue, "a")
    assert kept is not None
    assert (kept.kind, kept.body) == (Kind.DEAD, b'{"args":[1]}')
    assert "broken" in kept.headers["Conveyor-Run"]


async def test_adding_again_is_harmless_while_anything_is_known_of_the_job(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        for _ in range(2):
            assert (await queue.add(new_job("a", b"1"))).outcome is Added.ADDED
        assert (await queue.add(new_job("a", b"2"))).outcome is Added.DUPLICATE
        assert (await queue.add(new_job("a", b"1", queue_name="others"))).outcome is Added.DUPLICATE
        assert (await queue.add(new_job("a", b"1", delay=timedelta(hours=1)))).outcome is Added.ADDED
        first = await fetch_one(queue)
        await first.settle(completed(first.job))
        assert (await queue.add(new_job("a", b"1"))).outcome is Added.ADDED
        assert (await queue.add(new_job("a", b"2"))).outcome is Added.DUPLICATE
        await queue.add(new_job("b"))
        assert (await fetch_one(queue)).job.id == "b"


async def test_names_and_ids_may_be_anything(url: str) -> None:
    queue_name, job_id = "e.mails > * \u00fc" + "x" * 240, "\u4e16 .*>" * 40
    async with open_queue(url, queue_name, "other") as queue:
        await queue.add(new_job(job_id, queue_name=queue_name))
        delivery = await fetch_one(queue, queue_name)
        assert (delivery.job.id, delivery.job.queue_name) == (job_id, queue_name)
        await delivery.settle(completed(delivery.job))


async def test_of_a_cancel_and_a_completion_the_first_wins(url: str) -> None:
    async with open_queue(url, "orders") as queue:
        await queue.add_many([new_job("a"), new_job("b")])
        first, second = await fetch_one(queue), await fetch_one(queue)
        await queue.cancel_job("a", "sold out")
        with pytest.raises(LockLostError):
            await first.extend()
        with pytest.raises(LockLostError):
            await first.settle(completed(first.job))
        await second.settle(completed(second.job))
        with pytest.raises(InvalidJobStateError):
            await queue.cancel_job("b", "too late")
        found = await queue.find_many_by_id(["a", "b"])
        assert [job.state for job in found] == [JobState.CANCELLED, JobState.COMPLETED]
        assert str(found[0].error) == "Cancelled: sold out"


async def test_stopping_ends_a_fetch_with_nothing(url: str) -> None:
    async with open_queue(url, "orders") as queue, anyio.create_task_group() as tasks:
        brought: list[object] = []

        async def fetch() -> None:
            brought.append(await queue.fetch("orders", 10))

        tasks.start_soon(fetch)
        await anyio.wait_all_tasks_blocked()
        await queue.stop("orders", no_process)
        with anyio.fail_after(5):
            while not brought:
                await anyio.lowlevel.checkpoint()
        assert brought == [[]]


async def test_what_a_cancelled_fetch_took_is_delivered_again_at_once_and_uncharged(url: str) -> None:
    async with open_queue(url, "orders") as queue, open_queue(url) as adder:
        with anyio.move_on_after(0.2):
            await queue.fetch("orders", 5)
        await adder.add(new_job("a"))
        job = (await fetch_one(queue)).job
        assert (job.id, job.stalled_count) == ("a", 0)
