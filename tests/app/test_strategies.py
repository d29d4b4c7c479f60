"""What strategies are given by the injector, and what the default job queue shows of itself."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conveyor import Conveyor
from conveyor._builtin.store_queue import StoreJobQueue
from conveyor._services.injector import Registry
from conveyor.contracts.buffer_storage import JobBufferStorageStrategy, TransactionalBufferStorage
from conveyor.contracts.clock import Clock
from conveyor.contracts.job_queue import (
    DeclaringJobQueueStrategy,
    InspectableJobQueueStrategy,
    JobQueueStrategy,
    StoreBackedJobQueueStrategy,
)
from conveyor.contracts.store import Store
from conveyor.errors import ConfigurationError, InvalidJobStateError
from conveyor.model.queries import JobFilter
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.strategy import Injector

pytestmark = pytest.mark.anyio


class Curious(StoreJobQueue):
    """A strategy that keeps its injector."""

    injector: Injector

    async def init(self, injector: Injector, /) -> None:
        self.injector = injector
        await super().init(injector)


class Pool:
    """What an app's lifespan gives."""


async def test_a_strategy_gets_what_was_opened_before_it_and_what_comes_after_once_it_is_there(store_url: str) -> None:
    strategy = Curious()

    @asynccontextmanager
    async def lifespan(_: Conveyor) -> AsyncIterator[Pool]:
        with pytest.raises(ConfigurationError, match="nothing of type 'Pool' is open here"):
            strategy.injector.get(Pool)
        yield Pool()

    async with Conveyor(store_url, job_queue=strategy, lifespan=lifespan):
        get = strategy.injector.get
        assert get(Store).name
        assert get(Clock).now().tzinfo is not None
        assert get(JobQueueStrategy) is strategy
        assert get(Curious) is strategy
        assert isinstance(get(JobBufferStorageStrategy), TransactionalBufferStorage)
        assert isinstance(get(Pool), Pool)


def test_several_of_one_type_are_told_apart_by_name() -> None:
    registry = Registry()
    first, second = Pool(), Pool()
    registry.provide(Pool, first)
    registry.provide(Pool, second, "reports")
    assert registry.get(Pool) is first
    assert registry.get(Pool, "reports") is second
    with pytest.raises(ConfigurationError, match="no Pool is named 'report' here: did you mean 'reports'"):
        registry.get(Pool, "report")


async def test_the_default_strategy_can_be_looked_into(store_url: str) -> None:
    strategy = StoreJobQueue()
    app = Conveyor(store_url, job_queue=strategy)
    queue = app.queue("work")
    async with app:
        assert isinstance(strategy, (InspectableJobQueueStrategy, StoreBackedJobQueueStrategy))
        assert isinstance(strategy, DeclaringJobQueueStrategy)
        first, second = [await queue.add("pack", {"number": number}) for number in range(2)]
        other = await app.queue("other").add("pack")
        found = await strategy.find_one(first.id)
        assert found is not None
        assert found.name == "pack"
        assert await strategy.find_one("nobody") is None
        assert [job.id for job in await strategy.find_many_by_id([second.id, "nobody", first.id])] == [
            second.id,
            first.id,
        ]
        page = await strategy.find_many(JobFilter(queue_names=("work",)), limit=1)
        assert [job.id for job in page.jobs] == [second.id]
        page = await strategy.find_many(JobFilter(queue_names=("work",)), cursor=page.next_cursor, limit=1)
        assert [job.id for job in page.jobs] == [first.id]
        assert (await strategy.cancel_job(first.id, "sold out")).state is JobState.CANCELLED
        with pytest.raises(InvalidJobStateError):
            await strategy.cancel_job(first.id, "sold out")
        await strategy.cancel_job(other.id, "sold out")
        assert await strategy.remove_settled_jobs((), timedelta(hours=1)) == 0
        assert await strategy.remove_settled_jobs(("work",), timedelta(0)) == 1
        assert await strategy.remove_settled_jobs((), timedelta(0)) == 1
        assert await strategy.find_one(second.id) is not None


async def test_the_default_strategy_says_what_its_store_survives(store_url: str) -> None:
    strategy = StoreJobQueue()
    async with Conveyor(store_url, job_queue=strategy):
        assert strategy.capabilities.is_durable is (not store_url.startswith("memory"))
        assert strategy.capabilities.has_delays
