"""When a worker has nothing left to do: the board's last start, and what a burst asks before it believes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from conveyor._runtime.board import Board
from conveyor._runtime.burst import Burst
from conveyor._runtime.outbox import Outbox
from conveyor._runtime.transient import Outage
from conveyor._runtime.wakeup import Wakeup
from conveyor._services.services import Services
from conveyor.model.buffers.news import BufferEventKind
from conveyor.model.locks import LockToken
from conveyor.testing import make_job
from conveyor.testing.clocks import jumping_backends

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor.model.job import JobData

pytestmark = pytest.mark.anyio


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on loops that skip the time in which everybody waits."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


class FakeSeat:
    """Runs what it is given."""

    job: JobData | None = None
    is_settled = False

    def wake(self) -> None: ...

    def lose(self) -> None: ...


def jobs(count: int) -> list[JobData]:
    return [make_job(id=f"job {number}", token=LockToken("a" * 32, number)) for number in range(count)]


async def test_a_board_gives_out_no_job_beyond_the_last_start() -> None:
    outbox = Outbox(Wakeup())
    board = Board("s", outbox, most_starts=2)
    board.deliver(jobs(4), 0.0)
    started = []
    while (job := board.take()) is not None:
        board.start(job, FakeSeat())
        started.append(job)
    assert len(started) == 2
    assert [lock.job_id for lock in outbox.take_hand_backs()] == ["job 2", "job 3"]
    board.deliver(jobs(1), 0.0)
    assert board.take() is None
    board.abandon(started[0], is_stopping=False)
    assert not board.finished.is_set()
    board.abandon(started[1], is_stopping=False)
    assert board.finished.is_set()


class FakeWorker:
    """The parts that a burst asks, in one: says what it was told to, and notes what it was asked."""

    def __init__(self, fetches: list[bool], suspects: list[list[str]]) -> None:
        self.fetches = fetches
        self.suspects = suspects
        self.asked: list[str] = []
        self.queue_names = ("work",)
        self.is_under_way = self.is_held = False
        self.jobs = self
        self.schedules = None

    async def flush(self) -> None:
        self.asked.append("flush")

    async def promote_delayed_jobs(self, queue_names: Sequence[str], *, limit: int) -> int:
        self.asked.append("promote")
        return 0

    async def get_next_delayed_timestamp(self, queue_names: Sequence[str]) -> datetime | None:
        return None

    async def fetch_one_of_each(self) -> bool:
        self.asked.append("fetch")
        return self.fetches.pop(0)

    async def get_suspect_queues(self, queue_names: Sequence[str]) -> Sequence[str]:
        self.asked.append("suspects")
        return self.suspects.pop(0)

    def notice_work(self) -> None:
        self.asked.append("notice")


def make_burst(worker: FakeWorker, board: Board, services: Services | None = None) -> Burst:
    part, services = cast("Any", worker), services or Services()
    return Burst(part, board, fetcher=part, settler=part, suspects=part, services=services, outage=Outage())


async def test_a_burst_believes_only_what_the_store_says() -> None:
    worker = FakeWorker([True, False, False], [["work"], []])
    await make_burst(worker, Board("s", Outbox(Wakeup()))).run()
    look = ["flush", "promote", "fetch"]
    assert worker.asked == [*look, *look, "suspects", "notice", *look, "suspects"]


@pytest.mark.parametrize("busy", ["is_under_way", "is_held"])
async def test_a_burst_asks_nothing_while_others_ask(busy: str) -> None:
    worker = FakeWorker([False], [[]])
    setattr(worker, busy, True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(make_burst(worker, Board("s", Outbox(Wakeup()))).run)
        await anyio.sleep(10)
        assert worker.asked == []
        setattr(worker, busy, False)
    assert worker.asked == ["flush", "promote", "fetch", "suspects"]


async def test_a_burst_asks_nothing_while_a_buffer_is_flushed() -> None:
    worker, services = FakeWorker([False], [[]]), Services()
    services.buffers.flushing = 1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(make_burst(worker, Board("s", Outbox(Wakeup())), services).run)
        await anyio.sleep(10)
        assert worker.asked == []
        services.buffers.flushing = 0
    assert worker.asked == ["flush", "promote", "fetch", "suspects"]


async def test_a_burst_looks_again_after_a_flush_that_added_jobs_while_it_looked() -> None:
    services = Services()

    class FlushedMeanwhile(FakeWorker):
        async def get_suspect_queues(self, queue_names: Any) -> Sequence[str]:
            if self.asked.count("fetch") == 1:
                services.buffers.news.tell(BufferEventKind.REDUCED, "b", 2, 1)
            return await super().get_suspect_queues(queue_names)

    worker = FlushedMeanwhile([False, False], [[], []])
    await make_burst(worker, Board("s", Outbox(Wakeup())), services).run()
    assert worker.asked == ["flush", "promote", "fetch", "suspects"] * 2
