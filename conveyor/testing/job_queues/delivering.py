"""Deliveries: each belongs to one process at a time, and to nobody once it is settled."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor.contracts.job_queue import DeliveringJobQueueStrategy
from conveyor.errors import LockLostError
from conveyor.model.locks import LockToken
from conveyor.model.settlement import settle_completed
from conveyor.testing.job_queues.kit import QUEUE, JobQueueKit, needs, process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.job_queue import Delivery
    from conveyor.model.job import JobData
    from conveyor.model.settlement import Settlement
    from conveyor.testing.job_queues.kit import Program

__all__ = ["DeliveringConformance"]

NO_WAIT = timedelta(0)
TOKEN = LockToken("conformance", 1)


def completed(job: JobData) -> Settlement:
    """Return the settlement of a job that completed."""
    job.token = TOKEN
    return settle_completed(job, b"1")


class DeliveringConformance(JobQueueKit):
    """What a strategy delivers is settled, handed back, or delivered again."""

    @asynccontextmanager
    async def started(self, program: Program) -> AsyncIterator[DeliveringJobQueueStrategy]:
        """Open a program and start its queue, without a worker."""
        async with program.app:
            strategy = program.strategy
            needs(isinstance(strategy, DeliveringJobQueueStrategy), "DeliveringJobQueueStrategy")
            assert isinstance(strategy, DeliveringJobQueueStrategy)
            await strategy.start(QUEUE, process)
            with anyio.fail_after(self.patience_seconds):
                yield strategy
                await strategy.stop(QUEUE, process)

    async def fetch_one(self, strategy: DeliveringJobQueueStrategy) -> Delivery:
        """Fetch one delivery."""
        (delivery,) = await strategy.fetch(QUEUE, 1)
        return delivery

    async def test_a_delivery_is_the_job_that_was_added(self, program: Program) -> None:
        async with self.started(program) as strategy:
            added = program.note.options(tags=["blue"], metadata={"by": "ada"}, timeout="5s").new(7)
            await strategy.add(added)
            job = (await self.fetch_one(strategy)).job
            assert (job.id, job.queue_name, job.name, job.payload) == (added.id, QUEUE, "note", added.payload)
            assert (job.options, job.attempts_made) == (added.options, 0)

    async def test_no_more_are_delivered_than_are_asked_for(self, program: Program) -> None:
        async with self.started(program) as strategy:
            await program.add(*range(5))
            seen: list[str] = []
            while len(seen) < 5:
                deliveries = await strategy.fetch(QUEUE, 2)
                assert 1 <= len(deliveries) <= 2
                seen += [delivery.job.id for delivery in deliveries]
            assert len(set(seen)) == 5

    async def test_what_is_settled_never_comes_again(self, program: Program) -> None:
        async with self.started(program) as strategy:
            await program.add(1)
            delivery = await self.fetch_one(strategy)
            await delivery.settle(completed(delivery.job))
            with pytest.raises(LockLostError):
                await delivery.extend()
            with anyio.move_on_after(2 * strategy.lock_duration.total_seconds()):
                pytest.fail(f"{await strategy.fetch(QUEUE, 1)} was settled")

    async def test_what_is_handed_back_comes_again_at_once(self, program: Program) -> None:
        async with self.started(program) as strategy:
            await program.add(1)
            first = await self.fetch_one(strategy)
            await first.hand_back(NO_WAIT, is_counted=False)
            second = await self.fetch_one(strategy)
            assert (second.job.id, second.job.attempts_made) == (first.job.id, 0)
            await second.hand_back(NO_WAIT, is_counted=True)
            third = await self.fetch_one(strategy)
            assert (third.job.id, third.job.attempts_made) == (first.job.id, 1)
            await third.settle(completed(third.job))

    async def test_what_is_handed_back_with_a_delay_comes_after_it(self, program: Program) -> None:
        async with self.started(program) as strategy:
            needs(program.capabilities.has_delays, "has_delays")
            await program.add(1, 2)
            first = await self.fetch_one(strategy)
            await first.hand_back(timedelta(seconds=1), is_counted=True)
            second = await self.fetch_one(strategy)
            assert second.job.id != first.job.id
            await second.settle(completed(second.job))
            assert (await self.fetch_one(strategy)).job.id == first.job.id

    async def test_what_nobody_settles_goes_to_another_who_alone_may_settle_it(self, program: Program) -> None:
        async with self.started(program) as strategy:
            await program.add(1)
            first = await self.fetch_one(strategy)
            second = await self.fetch_one(strategy)
            assert second.job.id == first.job.id
            for refused in (
                first.extend(),
                first.hand_back(NO_WAIT, is_counted=False),
                first.settle(completed(first.job)),
            ):
                with pytest.raises(LockLostError):
                    await refused
            await second.settle(completed(second.job))

    async def test_what_is_extended_stays(self, program: Program) -> None:
        async with self.started(program) as strategy:
            await program.add(1)
            delivery = await self.fetch_one(strategy)
            third = strategy.lock_duration.total_seconds() / 3
            with anyio.move_on_after(7 * third) as in_time:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._extend, delivery, third)
                    pytest.fail(f"{await strategy.fetch(QUEUE, 1)} was extended")
            assert in_time.cancelled_caught
            await delivery.settle(completed(delivery.job))

    async def _extend(self, delivery: Delivery, interval_seconds: float) -> None:
        while True:
            await anyio.sleep(interval_seconds)
            await delivery.extend()

    async def test_stopping_ends_a_fetch_that_waits(self, program: Program) -> None:
        async with self.started(program) as strategy:
            answers: list[int] = []

            async def fetch() -> None:
                answers.append(len(await strategy.fetch(QUEUE, 1)))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fetch)
                await anyio.wait_all_tasks_blocked()
                await strategy.stop(QUEUE, process)
            assert answers == [0]
            await strategy.start(QUEUE, process)

    async def test_a_cancelled_fetch_loses_nothing(self, program: Program) -> None:
        async with self.started(program) as strategy:
            seen: set[str] = set()
            for number in range(20):
                with anyio.move_on_after(0.001 * (number % 4)):
                    seen.update(delivery.job.id for delivery in await strategy.fetch(QUEUE, 1))
                await program.add(number)
            while len(seen) < 20:
                for delivery in await strategy.fetch(QUEUE, 5):
                    seen.add(delivery.job.id)
                    await delivery.settle(completed(delivery.job))
