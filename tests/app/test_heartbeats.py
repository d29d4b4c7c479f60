"""Heartbeats: they end a thread that was asked to stop, and tell a busy event loop from one that hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import pytest

from conveyor import Conveyor, JobContext, JobState
from conveyor.errors import LockLostError, StoreUnavailableError
from conveyor.testing import JumpingClock, open_store
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(steady_backend: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Run in a time that leaves out what the machine does in between."""
    return steady_backend


@pytest.fixture
def app(store_url: str) -> Conveyor:
    """An app that is not open yet, whose store goes by the same time."""
    return Conveyor(store_url, clock=JumpingClock())


async def test_a_heartbeat_ends_a_thread_that_was_asked_to_stop(app: Conveyor) -> None:
    begun, ended = threading.Event(), threading.Event()
    raised: list[LockLostError] = []

    @app.queue("work").job()
    def crunch(context: JobContext) -> None:
        begun.set()
        try:
            while not ended.wait(0.001):
                context.heartbeat()
        except LockLostError as exc:
            raised.append(exc)
            raise
        finally:
            ended.set()

    async with app, app.worker():
        job = await crunch.add()
        await anyio.to_thread.run_sync(begun.wait, 10)
        await job.cancel()
        assert await anyio.to_thread.run_sync(ended.wait, 10)
        await job.refresh()
    assert [(exc.job_id, exc.queue_name) for exc in raised] == [(job.id, "work")]
    assert raised[0].token == str(job.data.token)
    assert job.state is JobState.CANCELLED


async def test_a_heartbeat_of_a_run_that_may_go_on_does_nothing(app: Conveyor) -> None:
    @app.queue("work").job()
    async def on_loop(context: JobContext) -> str:
        context.heartbeat()
        await anyio.to_thread.run_sync(context.heartbeat)
        return "on"

    @app.queue("work").job()
    def in_thread(context: JobContext) -> str:
        context.heartbeat()
        anyio.from_thread.run_sync(context.heartbeat)
        return "in"

    async with app, app.worker():
        first, second = await on_loop.add(), await in_thread.add()
        assert [await first.result(timeout="10s"), await second.result(timeout="10s")] == ["on", "in"]


COMPUTING = """
import time
from conveyor import Conveyor, JobContext
from conveyor.testing import JumpingClock
from tests.steady import STEADY_TIME, steady_backends
app = Conveyor("memory://", clock=JumpingClock())
RUNS = []

@app.queue("work").job()
async def compute(context: JobContext) -> str:
    RUNS.append(1)
    for _ in range(30):
        time.sleep(0.05)
        context.heartbeat()
    return f"in {{len(RUNS)}} run"

async def main() -> None:
    async with app, app.worker(lock_duration="200ms", stalled_interval="20ms", max_unresponsive="500ms"):
        print(await (await compute.add()).result())

import anyio
time.monotonic = STEADY_TIME.ask
anyio.run(main, backend={backend!r}, backend_options=dict(steady_backends())[{backend!r}])
"""


def test_heartbeats_keep_a_process_whose_loop_computes(anyio_backend_name: str, tmp_path: Path) -> None:
    script = tmp_path / "computing.py"
    script.write_text(textwrap.dedent(COMPUTING.format(backend=anyio_backend_name)))
    done = subprocess.run(
        [sys.executable, script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "in 1 run\n"), done.stderr


class Deaf:
    """A watchdog's way to the store that leads nowhere."""

    def renew(self, session_id: str, lock_duration: timedelta, /) -> bool:
        raise StoreUnavailableError("nobody answers")

    def close(self) -> None: ...


class Behind:
    """A store, or a facet, some of whose attributes are others."""

    def __init__(self, original: Any, **others: Any) -> None:
        self.__dict__ |= others
        self._original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


async def test_a_heartbeat_on_a_busy_loop_ends_a_run_whose_lock_was_not_renewed() -> None:
    runs: list[float] = []
    clock = JumpingClock()
    async with open_store("memory://", clock=clock) as store:
        deaf: Any = Behind(store, sessions=Behind(store.sessions, thread_renewal=Deaf))
        app = Conveyor(deaf, clock=clock)

        @app.queue("work").job()
        async def compute(context: JobContext) -> str:
            runs.append(time.monotonic())
            while len(runs) == 1 and time.monotonic() < runs[0] + 10:
                time.sleep(0.01)  # noqa: ASYNC251 - blocking is what is tested
                context.heartbeat()
            return f"in run {len(runs)}"

        async with app, app.worker(lock_duration="300ms", stalled_interval="20ms"):
            job = await compute.add()
            assert await job.result(timeout="20s") == "in run 2"
            assert [attempt.outcome for attempt in await job.attempts() if attempt.outcome == "failed"] == []
    assert runs[1] - runs[0] < 5
