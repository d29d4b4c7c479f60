"""User code that blocks the event loop: its neighbours' locks are kept, but not for ever."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor._runtime.watchdog import UNRESPONSIVE

if TYPE_CHECKING:
    from pathlib import Path

    from conveyor import Conveyor

pytestmark = pytest.mark.anyio


async def test_a_handler_that_blocks_the_loop_keeps_its_lock(app: Conveyor) -> None:
    runs: list[int] = []

    @app.queue("work").job()
    async def block() -> str:
        runs.append(1)
        time.sleep(0.8)  # noqa: ASYNC251 - blocking is what is tested
        await anyio.sleep(0.05)
        return "in one run"

    async with app, app.worker(lock_duration="300ms", stalled_interval="20ms"):
        job = await block.add()
        assert await job.result(timeout="10s") == "in one run"
        assert runs == [1]
        assert job.data.stalled_count == 0


HANGING = """
import time
from conveyor import Conveyor, run
app = Conveyor("memory://")

@app.queue("work").job()
async def hang() -> None:
    time.sleep(60)

async def main() -> None:
    async with app, app.worker(lock_duration="200ms", max_unresponsive="500ms"):
        await (await hang.add()).result()

import anyio
anyio.run(main, backend={backend!r})
"""


def test_a_process_that_hangs_for_too_long_shows_its_stacks_and_exits(anyio_backend: str, tmp_path: Path) -> None:
    script = tmp_path / "hanging.py"
    script.write_text(textwrap.dedent(HANGING.format(backend=anyio_backend)))
    started = time.monotonic()
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == UNRESPONSIVE
    assert "max_unresponsive" in done.stderr
    assert "in hang" in done.stderr
    assert time.monotonic() - started < 20
