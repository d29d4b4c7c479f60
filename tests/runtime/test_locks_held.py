"""What a worker does when it hears that locks are gone, or that it was thought to hold more than it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor, JobState
from conveyor._runtime.board import Board
from conveyor._runtime.outbox import Outbox
from conveyor._runtime.wakeup import Wakeup
from conveyor.model.job import JobData
from conveyor.model.locks import Lock, LockToken
from conveyor.model.options import JobOptions
from conveyor.model.queries import Want
from conveyor.testing.clocks import JumpingClock
from tests.eventually import eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

SESSION = "a" * 32


@pytest.fixture
def anyio_backend(steady_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Run in a time that leaves out what the machine does in between."""
    return steady_backend


def job(number: int) -> JobData:
    """Return a job as fetch `number` brought it."""
    now = datetime.now(UTC)
    token = LockToken(SESSION, number)
    return JobData("j", "q", "n", b"{}", JobOptions(), JobState.ACTIVE, 0, 0, 0, now, now, now, token=token)


class FakeSeat:
    """A slot that notes whether it was told to stop."""

    def __init__(self, running: JobData) -> None:
        self.job: JobData | None = running
        self.lost = False
        self.is_settled = False

    def wake(self) -> None: ...

    def lose(self) -> None:
        self.lost = True


async def test_news_of_an_older_run_leaves_a_job_fetched_again_alone() -> None:
    board = Board(SESSION, Outbox(Wakeup()))
    board.deliver([job(7)], anyio.current_time())
    board.lose(Lock("j", LockToken(SESSION, 6)))
    assert len(board.ready) == 1
    board.lose(Lock("j", LockToken(SESSION, 7)))
    assert len(board.ready) == 0


async def test_news_of_an_older_run_leaves_the_run_going_on_alone() -> None:
    board = Board(SESSION, Outbox(Wakeup()))
    seat = FakeSeat(job(7))
    board.start(job(7), seat)
    board.lose(Lock("j", LockToken(SESSION, 6)))
    assert not seat.lost
    board.lose(Lock("j", LockToken(SESSION, 7)))
    assert seat.lost


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_job_locked_by_a_fetch_whose_answer_was_lost_waits_again(kind: str, tmp_path: Path) -> None:
    app = Conveyor("memory://" if kind == "memory" else f"sqlite:///{tmp_path}/jobs.db", clock=JumpingClock())
    go_on = anyio.Event()

    @app.queue("work").job()
    async def hold() -> None:
        await go_on.wait()

    @app.queue("elsewhere").job()
    async def stranded() -> str:
        return "ran after all"

    async with app:
        store = app._services.store
        async with app.worker("work", lock_duration="100ms", stalled_interval="1h"):
            await hold.add()
            job_there = await stranded.add()
            (session,) = await store.sessions.list_sessions()
            lost = await store.jobs.fetch_jobs([Want("elsewhere", 1)], session.id, timedelta(seconds=1), fetch_number=0)
            assert [fetched.id for fetched in lost] == [job_there.id]

            async def waits_again() -> bool:
                return (await job_there.refresh()).state is JobState.WAITING

            await eventually(waits_again)
            assert (job_there.data.attempts_made, job_there.data.stalled_count) == (0, 0)
            go_on.set()
