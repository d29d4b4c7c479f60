"""With nothing set, the job of a worker that died runs again within the lock's duration and two seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest

from conveyor import Conveyor
from conveyor.model.queries import Want
from conveyor.model.sessions import SessionInfo
from conveyor.model.worker_options import WorkerOptions
from conveyor.testing.clocks import JumpingClock, jumping_backends

if TYPE_CHECKING:
    from conveyor.contracts.store import Store

pytestmark = pytest.mark.anyio

LOCK: Final = WorkerOptions().lock_duration
MORE_SECONDS: Final = 2.0
# At whichever time between two looks.
DEATHS: Final = 12


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on loops that skip the time in which everybody waits."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


async def die_with_a_job(store: Store, number: int) -> None:
    """Fetch a job for a worker that does nothing more."""
    session = f"{number:032x}"
    await store.sessions.open(SessionInfo(session, "nowhere", 1, "none"), LOCK)
    assert len(await store.jobs.fetch_jobs([Want("doomed", 1)], session, LOCK, fetch_number=1)) == 1


async def test_jobs_of_dead_workers_run_again_in_time() -> None:
    app = Conveyor("memory://", clock=JumpingClock())
    runs = anyio.Event()

    @app.queue("doomed").job()
    async def survive() -> None:
        runs.set()

    async with app:
        for number in range(DEATHS):
            runs = anyio.Event()
            await survive.add()
            await die_with_a_job(app._services.store, number)
            died_at = anyio.current_time()
            await anyio.sleep(number * WorkerOptions().stalled_interval.total_seconds() / DEATHS)
            async with app.worker():
                await runs.wait()
            assert LOCK.total_seconds() <= anyio.current_time() - died_at <= LOCK.total_seconds() + MORE_SECONDS
