"""Losses of buffered jobs: what may be lost is told when there is a buffer, and what is lost as the app closes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from conveyor import Conveyor, JobBuffer
from conveyor.contracts.job_queue import JobQueueCapabilities
from conveyor.model.queries import AddReceipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor import NewJob
    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.strategy import Injector

pytestmark = pytest.mark.anyio


def register(app: Conveyor, id: str) -> None:
    """Register a buffer that collects its first job alone."""
    app.buffers.add_buffer(JobBuffer(id, collect=lambda _: id == "b", reduce=list))


class DurableElsewhere:
    """A job queue strategy that keeps its jobs for long, and in no store."""

    capabilities = JobQueueCapabilities(is_durable=True)

    async def init(self, injector: Injector, /) -> None: ...

    async def destroy(self) -> None: ...

    async def add(self, job: NewJob, /) -> AddReceipt:
        return AddReceipt(job.id)

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        return [AddReceipt(job.id) for job in jobs]

    async def start(self, queue_name: str, process: ProcessJob, /) -> None: ...

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        return ()


@pytest.mark.parametrize("storage", ["store", "memory"])
async def test_queues_that_are_kept_elsewhere_than_in_the_store_count_too(
    storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = Conveyor("memory://", buffer_storage=storage, job_queue=DurableElsewhere())
    register(app, "b")
    async with app:
        assert "are lost when this process stops, though DurableElsewhere keeps its jobs" in caplog.text
        await app.queue("search").add("reindex")
    assert "buffer b is in memory: its 1 jobs are lost" in caplog.text


async def test_the_first_buffer_that_comes_late_tells_of_the_loss_window(caplog: pytest.LogCaptureFixture) -> None:
    app = Conveyor("memory://", buffer_storage="memory")
    async with app:
        assert "clears a buffer before" not in caplog.text
        register(app, "b")
        register(app, "c")
    assert caplog.text.count("InMemoryJobBufferStorageStrategy clears a buffer before") == 1


async def test_what_is_lost_as_the_app_closes_is_told(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    app = Conveyor(sqlite_url, buffer_storage="memory")
    register(app, "b")
    async with app:
        await app.queue("search").add_many([app.queue("search").new("reindex") for _ in range(2)])
        assert "lost when this process stops, though sqlite:" in caplog.text
        assert "its 2 jobs" not in caplog.text
    assert "buffer b is in memory: its 2 jobs are lost when this process stops" in caplog.text


async def test_nothing_is_told_of_a_store_that_is_not_kept_either(caplog: pytest.LogCaptureFixture) -> None:
    app = Conveyor("memory://")
    register(app, "b")
    with caplog.at_level(logging.WARNING):
        async with app:
            await app.queue("search").add("reindex")
    assert caplog.text == ""
