"""The sync producer: jobs added from ordinary functions, in one thread or many, with a fork and an end in between."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent
from typing import TYPE_CHECKING, Literal, TypeAlias

import anyio
import pytest

from conveyor import Conveyor, JobState, SyncProducer
from conveyor.errors import ConfigurationError, JobFailedError, PayloadError, StoreError
from tests.app.hosted import FailingQueue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conveyor import JobHandler

    Double: TypeAlias = JobHandler[[int], int, [int], int]

Backend: TypeAlias = Literal["asyncio", "trio"]


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """The loop of the producer's thread."""
    name: Backend = request.param
    return name


@pytest.fixture
def double(app: Conveyor) -> Double:
    """A handler of the app, which is a plain function."""

    @app.queue("work").job()
    def double(number: int) -> int:
        if number < 0:
            raise ValueError("too small")
        return number * 2

    return double


@pytest.fixture
def producer(app: Conveyor, double: object, backend: Backend) -> Iterator[SyncProducer]:
    """A producer with a worker, which is not open yet."""
    producer = app.sync_producer(app.worker(), backend=backend)
    yield producer
    producer.close()


def threads() -> set[str]:
    """Return the names of the threads that producers have at the moment."""
    return {thread.name for thread in threading.enumerate() if thread.name == "conveyor producer"}


def call_for_ever(producer: SyncProducer) -> None:
    """Call until a call fails."""
    while True:
        producer.call(anyio.sleep, 0)


def test_it_adds_a_job_and_waits_for_its_result(app: Conveyor, producer: SyncProducer, double: Double) -> None:
    with producer:
        job = producer.add(double, 21)
        assert producer.result(job, timeout="10s") == 42
        assert job.state is JobState.COMPLETED
    assert threads() == set()


def test_it_adds_many_of_several_handlers_in_their_order(app: Conveyor, producer: SyncProducer, double: Double) -> None:
    with producer:
        jobs = producer.add_many([double.new(1), app.queue("work").new("double", {"number": 2})])
        assert [producer.result(job, timeout="10s") for job in jobs] == [2, 4]


def test_it_opens_at_the_first_call_and_not_before(producer: SyncProducer, double: Double) -> None:
    assert threads() == set()
    producer.add(double, 1)
    assert threads() == {"conveyor producer"}
    producer.close()
    assert threads() == set()


def test_any_number_of_threads_may_use_it(app: Conveyor, producer: SyncProducer, double: Double) -> None:
    with ThreadPoolExecutor(16) as pool:
        jobs = list(pool.map(lambda number: producer.add(double, number), range(200)))
        results = list(pool.map(lambda job: producer.result(job, timeout="20s"), jobs))
    assert results == [number * 2 for number in range(200)]
    assert threads() == {"conveyor producer"}


def test_it_calls_any_coroutine_function_of_the_app(app: Conveyor, backend: Backend) -> None:
    queue = app.queue("work")
    with app.sync_producer(backend=backend) as producer:
        job = producer.call(queue.add, "anything", {"to": "ada"}, delay="1 hour")
        assert producer.call(queue.count, JobState.DELAYED) == 1
        producer.call(job.cancel, "enough")
        assert job.state is JobState.CANCELLED


def test_errors_are_raised_to_the_caller(producer: SyncProducer, double: Double) -> None:
    with pytest.raises(PayloadError):
        producer.add(double, "many")  # type: ignore[arg-type]
    with pytest.raises(JobFailedError, match="too small"):
        producer.result(producer.add(double, -1), timeout="10s")


def test_waiting_has_an_end(app: Conveyor, double: Double, backend: Backend) -> None:
    with app.sync_producer(backend=backend) as producer:
        job = producer.add(double, 1)
        with pytest.raises(TimeoutError):
            producer.result(job, timeout="10ms")
        assert producer.call(job.refresh).state is JobState.WAITING


def test_closing_releases_whoever_waits_for_a_result(app: Conveyor, double: Double, backend: Backend) -> None:
    producer = app.sync_producer(backend=backend).open()
    job = producer.add(double, 1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(producer.result, job)
        # The wait has reached the app once the loop has taken what was sent after it.
        while not app._services.waiters._waiters:  # type: ignore[attr-defined]
            producer.call(anyio.sleep, 0)
        producer.close()
        with pytest.raises(ConfigurationError, match="closed while job"):
            waiting.result(timeout=10)


def test_it_is_closed_once_and_can_be_opened_again(producer: SyncProducer, double: Double) -> None:
    producer.open()
    producer.open()
    producer.close()
    producer.close()
    with pytest.raises(ConfigurationError, match=r"was closed; open\(\) it again"):
        producer.add(double, 1)
    with producer:
        assert producer.result(producer.add(double, 2), timeout="10s") == 4


def test_an_app_that_is_open_elsewhere_is_refused_and_leaves_no_thread(
    app: Conveyor, producer: SyncProducer, double: Double
) -> None:
    with producer:
        second = app.sync_producer()
        with pytest.raises(ConfigurationError, match="open already"):
            second.open()
        assert len([thread for thread in threading.enumerate() if thread.name == "conveyor producer"]) == 1


def test_a_store_that_cannot_be_opened_is_asked_again_at_the_next_call(tmp_path: Path, backend: Backend) -> None:
    path = tmp_path / "jobs.db"
    path.write_bytes(b"no database at all" * 100)
    app = Conveyor(f"sqlite:///{path}")
    producer = app.sync_producer(backend=backend)
    with pytest.raises(StoreError):
        producer.call(app.queue("work").add, "anything")
    path.unlink()
    producer.call(app.queue("work").add, "anything")
    producer.close()


@pytest.mark.anyio
async def test_inside_an_event_loop_it_says_to_await_instead(tmp_path: Path) -> None:
    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db")

    @app.queue("work").job()
    async def double(number: int) -> int:
        return number * 2

    producer = app.sync_producer()
    with pytest.raises(ConfigurationError, match=r"await handler.add\(...\)"):
        producer.add(double, 1)
    with pytest.raises(ConfigurationError, match="an event loop runs in this thread"), producer:
        pytest.fail("it was opened")
    # A thread of such a program has no loop of its own.
    job = await anyio.to_thread.run_sync(producer.add, double, 1)
    await anyio.to_thread.run_sync(producer.close)
    async with app:
        assert (await app.jobs.get(job.id)).name == "double"


def test_a_job_in_a_thread_may_add_through_it(app: Conveyor, producer: SyncProducer, double: Double) -> None:
    @app.queue("work").job()
    def add_another(number: int) -> str:
        return producer.add(double, number).id

    with producer:
        child_id = producer.result(producer.add(add_another, 5), timeout="10s")
        assert producer.result(producer.call(app.jobs.get, child_id), timeout="10s") == 10


def test_what_ends_the_app_is_raised_by_closing(backend: Backend) -> None:
    strategy = FailingQueue()
    app = Conveyor("memory://", job_queue=strategy)
    producer = app.sync_producer(backend=backend).open()

    async def fail() -> None:
        strategy.fails.set()

    producer.call(fail)
    with pytest.raises(ConfigurationError, match="has ended"):
        call_for_ever(producer)
    with pytest.raises(LookupError, match="gone"):
        producer.close()
    assert strategy.is_closed
    assert threads() == set()


def test_what_ends_the_app_is_raised_by_the_block_that_meets_it(backend: Backend) -> None:
    strategy = FailingQueue()
    app = Conveyor("memory://", job_queue=strategy)

    async def fail() -> None:
        strategy.fails.set()

    with pytest.raises(LookupError, match="gone"), app.sync_producer(backend=backend) as producer:  # noqa: PT012
        producer.call(fail)
        call_for_ever(producer)


def test_an_exception_in_the_block_hands_running_jobs_back(tmp_path: Path, backend: Backend) -> None:
    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db")
    running = threading.Event()

    @app.queue("work").job()
    async def hang() -> None:
        running.set()
        await anyio.sleep_forever()

    with pytest.raises(LookupError), app.sync_producer(app.worker(), backend=backend) as producer:  # noqa: PT012
        job = producer.add(hang)
        assert running.wait(10)
        raise LookupError("elsewhere in the program")
    with app.sync_producer(backend=backend) as producer:
        assert producer.call(job.refresh).state is JobState.WAITING


def test_a_callers_own_connection_is_joined_if_threads_may_share_it(tmp_path: Path, backend: Backend) -> None:
    app = Conveyor(f"sqlite:///{tmp_path}/jobs.db")
    with app.sync_producer(backend=backend) as producer:
        shared = sqlite3.connect(tmp_path / "jobs.db", check_same_thread=False)
        shared.execute("create table sales (title text)")
        shared.execute("insert into sales values ('Emma')")
        job = producer.call(app.queue("work").add, "pack", connection=shared)
        assert producer.call(app.queue("work").count, JobState.WAITING) == 0
        shared.commit()
        assert producer.call(job.refresh).state is JobState.WAITING
        shared.close()
        own = sqlite3.connect(tmp_path / "jobs.db")
        with pytest.raises(ConfigurationError, match="thread"):
            producer.call(app.queue("work").add, "pack", connection=own)
        own.close()


def run_program(source: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    opening = """
        import os, signal, sys, threading
        from conveyor import Conveyor

        app = Conveyor("sqlite:///jobs.db")
        queue = app.queue("work")

        @queue.job()
        def double(number: int) -> int:
            return number * 2
    """
    program = dedent(opening) + dedent(source)
    # From Python 3.12 on a fork beside threads is warned of, and one of the programs means it.
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False)


def test_a_program_that_ends_closes_a_producer_that_nobody_closed(tmp_path: Path, backend: Backend) -> None:
    done = run_program(
        f"""
        producer = app.sync_producer(app.worker(), backend={backend!r})
        print(producer.result(producer.add(double, 21)))
        """,
        tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        assert connection.execute("select count(*) from conveyor_sessions").fetchone() == (0,)
    connection.close()


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@needs_fork
def test_a_producer_made_before_a_fork_opens_in_each_child(tmp_path: Path) -> None:
    done = run_program(
        """
        producer = app.sync_producer()
        children = []
        for number in range(3):
            child = os.fork()
            if not child:
                producer.add(double, number)
                sys.exit()
            children.append(child)
        codes = [os.waitpid(child, 0)[1] for child in children]
        print(codes, producer.call(queue.count, "waiting"))
        """,
        tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 0, 0] 3\n", "")


@needs_fork
def test_a_producer_that_is_open_during_a_fork_is_refused_in_the_child_and_goes_on_in_the_parent(
    tmp_path: Path,
) -> None:
    done = run_program(
        """
        producer = app.sync_producer().open()
        child = os.fork()
        if not child:
            try:
                producer.add(double, 1)
            except Exception as error:
                print(type(error).__name__, "open the producer after the fork" in str(error), flush=True)
            producer.close()
            sys.exit()
        code = os.waitpid(child, 0)[1]
        producer.add(double, 2)
        print(code, producer.call(queue.count, "waiting"))
        """,
        tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ConfigurationError True\n0 1\n", "")


def test_ctrl_c_ends_the_waiting_and_the_program(tmp_path: Path, backend: Backend) -> None:
    done = run_program(
        f"""
        with app.sync_producer(backend={backend!r}) as producer:
            job = producer.add(double, 1)
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            producer.result(job)
        """,
        tmp_path,
    )
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
