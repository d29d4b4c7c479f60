"""User code that blocks the event loop: its neighbours' locks are kept, but not for ever."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor
from conveyor._runtime.watchdog import UNRESPONSIVE
from conveyor.testing.clocks import JumpingClock
from tests.steady import block as block_loop

if TYPE_CHECKING:
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


async def test_a_handler_that_blocks_the_loop_keeps_its_lock(app: Conveyor) -> None:
    runs: list[int] = []

    @app.queue("work").job()
    async def block() -> str:
        runs.append(1)
        block_loop(0.8)
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
    time.sleep(600)

async def main() -> None:
    async with app, app.worker(lock_duration="200ms", max_unresponsive="500ms"):
        await (await hang.add()).result()

import anyio
anyio.run(main, backend={backend!r})
"""


def test_a_process_that_hangs_for_too_long_shows_its_stacks_and_exits(anyio_backend_name: str, tmp_path: Path) -> None:
    script = tmp_path / "hanging.py"
    script.write_text(textwrap.dedent(HANGING.format(backend=anyio_backend_name)))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == UNRESPONSIVE
    assert "max_unresponsive" in done.stderr
    assert "in hang" in done.stderr
