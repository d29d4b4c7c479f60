"""Fetching ahead keeps slots busy however far away the store is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest

from conveyor import Conveyor
from conveyor._builtin.memory.store import MemoryStore
from conveyor._builtin.system_clock import SystemClock
from conveyor.testing.clocks import jumping_backends

if TYPE_CHECKING:
    from conveyor.contracts.store import JobStore

pytestmark = pytest.mark.anyio

JOBS: Final = 600
SLOTS: Final = 2
RUN_SECONDS: Final = 0.0002
WAY_SECONDS: Final = 0.003


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on loops that skip the time in which everybody waits."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


class FarJobs:
    """A store's jobs whose answers to a worker take a while."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    async def fetch_jobs(self, *args: Any, **kwargs: Any) -> Any:
        await anyio.sleep(WAY_SECONDS)
        return await self._jobs.fetch_jobs(*args, **kwargs)

    async def settle_jobs(self, *args: Any, **kwargs: Any) -> Any:
        await anyio.sleep(WAY_SECONDS)
        return await self._jobs.settle_jobs(*args, **kwargs)


async def test_slots_that_waited_for_an_answer_have_more_fetched_ahead() -> None:
    store = MemoryStore(SystemClock())
    store.jobs = FarJobs(store.jobs)  # type: ignore[assignment] # a fake
    app = Conveyor(store)
    queue = app.queue("q")
    left = JOBS
    all_ran = anyio.Event()

    @queue.job()
    async def work() -> None:
        nonlocal left
        await anyio.sleep(RUN_SECONDS)
        left -= 1
        if not left:
            all_ran.set()

    async with app:
        await work.add_many([work.new() for _ in range(JOBS)])
        begun = anyio.current_time()
        async with app.worker("q", concurrency=SLOTS):
            await all_ran.wait()
            seconds = anyio.current_time() - begun
    # Where nothing adjusted to the way, it took more than three times as long.
    assert seconds < 2 * JOBS * RUN_SECONDS / SLOTS
