"""A worker that is killed gives its jobs up to others soon after its locks are over."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from conveyor import Conveyor

pytestmark = pytest.mark.anyio

PROGRAM: Final = Path(__file__).with_name("hanging_worker.py")
LONGEST_LINE: Final = 100
STARTUP_SECONDS: Final = 30
LOCK_SECONDS: Final = 2.0
# What the others may take once the lock is over, or they hang; how soon it is, tests/runtime/test_recovery.py asks.
MORE_SECONDS: Final = 30.0


async def test_the_job_of_a_killed_worker_runs_again_soon_after_its_lock_is_over(
    empty_url: str, anyio_backend_name: str
) -> None:
    app = Conveyor(empty_url)
    began = anyio.Event()

    @app.queue("orders").job()
    async def pack() -> None:
        began.set()

    command = [sys.executable, str(PROGRAM), anyio_backend_name, empty_url, f"{LOCK_SECONDS}"]
    async with app, await anyio.open_process(command, stderr=None) as doomed:
        assert doomed.stdout is not None
        job = await pack.add()
        with anyio.fail_after(STARTUP_SECONDS):
            await BufferedByteReceiveStream(doomed.stdout).receive_until(b"\n", LONGEST_LINE)
        async with app.worker("orders", poll_interval="1h"):
            doomed.kill()
            with anyio.fail_after(LOCK_SECONDS + MORE_SECONDS):
                await began.wait()
            await job.wait_until_finished(timeout=STARTUP_SECONDS)
        assert [attempt.outcome for attempt in await job.attempts()] == ["stalled", "completed"]
