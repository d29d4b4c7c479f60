"""When the fetcher asks, and that what it brought is still worth starting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor._runtime.board import Board
from conveyor._runtime.fetcher import Fetch, Fetcher
from conveyor._runtime.outbox import Outbox
from conveyor._runtime.settler import Settler
from conveyor._runtime.transient import Outage
from conveyor._runtime.trust import Trust
from conveyor._runtime.wakeup import Wakeup
from conveyor.model.job import LogEntry
from conveyor.model.locks import Lock, LockToken
from conveyor.model.queries import Want
from conveyor.model.settlement import SettleReport, settle_completed
from conveyor.model.worker_options import WorkerOptions
from conveyor.testing import make_job
from conveyor.testing.clocks import jumping_backends

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conveyor.model.job import JobData

pytestmark = pytest.mark.anyio

TOKEN = LockToken("a" * 32, 1)


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run on loops that skip the time in which everybody waits."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


class FakeJobs:
    """A store's jobs: notes what is asked, and brings nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []
        self.verbs: list[str] = []
        self.board: Board | None = None
        self.on_append: Callable[[], None] | None = None

    async def fetch_jobs(self, wants: Sequence[Want], *_: object, **__: object) -> Sequence[JobData]:
        self.asked += [(want.queue_name, anyio.current_time()) for want in wants]
        return ()

    async def release_locks(self, locks: Sequence[Lock]) -> Sequence[Lock]:
        """A run comes to its end meanwhile."""
        self.verbs.append("release_locks")
        assert self.board is not None
        job = make_job(id="other", token=TOKEN)
        self.board.outbox.add_log(LogEntry(job.id, "a line", lock=Lock(job.id, TOKEN)))
        self.board.outbox.add_settlement(settle_completed(job, None))
        return ()

    async def set_progress(self, reports: Sequence[object]) -> Sequence[object]:
        return ()

    async def append_logs(self, entries: Sequence[LogEntry]) -> Sequence[object]:
        self.verbs.append("append_logs")
        if self.on_append is not None:
            self.on_append()
            await anyio.lowlevel.checkpoint()
        return ()

    async def settle_jobs(self, *_: object, **__: object) -> SettleReport:
        self.verbs.append("settle_jobs")
        return SettleReport()


class FakeSeat:
    """A slot that runs something."""

    job = None
    is_settled = False

    def wake(self) -> None: ...

    def lose(self) -> None: ...


def make_fetcher(jobs: FakeJobs, board: Board, **options: Any) -> Fetcher:
    """Return a fetcher over the fake."""
    chosen = WorkerOptions(concurrency=1, prefetch=0, **options)
    session = SimpleNamespace(is_closed=False)
    trust = Trust(chosen.lock_duration)
    store: Any = SimpleNamespace(jobs=jobs)
    return Fetcher(store, board, session, chosen, trust=trust, outage=Outage())  # type: ignore[arg-type] # a fake


async def test_room_that_a_settlers_fetch_leaves_is_offered_to_the_other_queues() -> None:
    jobs = FakeJobs()
    board = Board("s", Outbox(Wakeup()))
    fetcher = make_fetcher(jobs, board, poll_interval="1h")
    fetcher.add_queue("left")
    fetcher.add_queue("right")
    running = make_job(token=TOKEN)
    board.start(running, FakeSeat())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fetcher.run)
        await anyio.sleep(1)
        board.finish(running, settle_completed(running, None))
        fetch = fetcher.begin()
        assert fetch is not None
        (want,) = fetch.wants
        fetcher.deliver(fetch, ())
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    assert {want.queue_name, *(queue_name for queue_name, _ in jobs.asked)} == {"left", "right"}


async def test_jobs_that_a_settler_fetched_ahead_go_back_in_time_though_no_hint_comes() -> None:
    board = Board("s", Outbox(Wakeup()))
    fetcher = make_fetcher(FakeJobs(), board, poll_interval="1h")
    fetcher.add_queue("q")
    board.start(make_job(token=TOKEN), FakeSeat())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fetcher.run)
        await anyio.sleep(1)
        spare = make_job(id="spare", token=TOKEN)
        fetcher.deliver(Fetch(1, [Want("q", 1)], anyio.current_time(), {"q": 1}), [spare])
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    assert board.outbox.take_hand_backs() == (Lock("spare", TOKEN),)


async def test_hints_about_one_queue_do_not_put_off_the_polling_of_another() -> None:
    jobs = FakeJobs()
    fetcher = make_fetcher(jobs, Board("s", Outbox(Wakeup())), poll_interval="5s")
    fetcher.add_queue("busy")
    fetcher.add_queue("quiet")
    begun_at = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fetcher.run)
        for _ in range(12):
            await anyio.sleep(1)
            fetcher.notice_work("busy")
        tasks.cancel_scope.cancel()
    times = [at - begun_at for queue_name, at in jobs.asked if queue_name == "quiet"]
    assert len(times) == 3
    assert times == pytest.approx([0, 5, 10], abs=0.5)


async def test_a_job_whose_time_to_start_went_by_on_the_way_goes_back() -> None:
    outbox = Outbox(Wakeup())
    board = Board("s", outbox)
    now = datetime.now(UTC)
    times = {"token": TOKEN, "started_at": now}
    late = make_job(id="late", expires_at=now + timedelta(seconds=2), **times)
    timely = make_job(id="timely", expires_at=now + timedelta(seconds=60), **times)
    board.deliver([late, timely], anyio.current_time() - 1)
    await anyio.sleep(1.5)
    taken = board.take()
    assert taken is not None
    assert taken.id == "timely"
    assert outbox.take_hand_backs() == (Lock("late", TOKEN),)


async def test_a_line_is_written_before_the_end_of_its_run_whenever_that_comes() -> None:
    jobs = FakeJobs()
    board = jobs.board = Board("s", Outbox(Wakeup()))
    fetcher = make_fetcher(jobs, board)
    store: Any = SimpleNamespace(jobs=jobs)
    settler = Settler(store, board, fetcher, WorkerOptions(), wakeup=Wakeup(), outage=Outage())
    board.outbox.hand_back([make_job(token=TOKEN)])
    await settler.flush()
    assert jobs.verbs == ["release_locks", "append_logs", "settle_jobs"]


async def test_a_line_whose_write_was_interrupted_is_written_by_the_next_flush() -> None:
    store, outbox = FakeJobs(), Outbox(Wakeup())
    board = Board("s", outbox)
    fetcher = make_fetcher(store, board)
    settler = Settler(SimpleNamespace(jobs=store), board, fetcher, WorkerOptions(), wakeup=Wakeup(), outage=Outage())
    outbox.add_log(LogEntry("j", "a line", lock=Lock("j", TOKEN)))
    with anyio.CancelScope() as scope:
        store.on_append = scope.cancel
        await settler.flush()
    assert scope.cancelled_caught
    store.on_append = None
    await settler.flush()
    assert store.verbs == ["append_logs", "append_logs"]


async def test_reports_stay_until_they_are_confirmed() -> None:
    outbox = Outbox(Wakeup())
    entry = LogEntry("j", "a line", lock=Lock("j", TOKEN))
    outbox.add_log(entry)
    assert outbox.take_reports() == ([entry], [])
    assert outbox.has_reports
    assert outbox.take_reports() == ([entry], [])
    outbox.confirm_reports()
    assert not outbox.has_reports


async def test_nothing_is_fetched_while_jobs_that_come_before_it_are_on_their_way_back() -> None:
    board = Board("s", Outbox(Wakeup()))
    fetcher = make_fetcher(FakeJobs(), board)
    fetcher.add_queue("q")
    board.deliver([make_job(token=TOKEN)], asked_at=anyio.current_time())
    board.hand_back_ready()
    while_leaving = fetcher.begin()
    board.outbox.confirm_released(board.outbox.take_hand_backs())
    assert while_leaving is None
    assert fetcher.begin() is not None


async def test_a_paused_fetcher_asks_for_nothing_and_gives_back_what_is_on_its_way() -> None:
    board = Board("s", Outbox(Wakeup()))
    fetcher = make_fetcher(FakeJobs(), board)
    fetcher.add_queue("q")
    fetch = fetcher.begin()
    assert fetch is not None
    fetcher.is_paused = True
    fetcher.deliver(fetch, [make_job(id="late", queue_name="q", token=TOKEN)])
    assert board.outbox.take_hand_backs() == (Lock("late", TOKEN),)
    board.outbox.confirm_released([Lock("late", TOKEN)])
    assert fetcher.begin() is None
    assert not await fetcher.fetch_suspect(["q"])
    assert not await fetcher.fetch_one_of_each()
    fetcher.is_paused = False
    fetcher.notice_work()
    assert fetcher.begin() is not None
