"""Programs that ``conveyor.run`` takes over: they stop when signalled, and the log says how."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM: Final = """
import logging
import anyio
from conveyor import Conveyor, run

app = Conveyor("memory://")

@app.queue("work").job()
async def hold() -> None:
    print("running", flush=True)
    await anyio.sleep_forever()

logging.basicConfig(level="INFO", format="%(levelname)s %(message)s")

async def main() -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(add_when_open)
        await app.run()

async def add_when_open() -> None:
    while not app._services.is_open:
        await anyio.sleep(0.01)
    await hold.add()

anyio.run(main, backend={backend!r})
"""


def test_a_program_says_what_two_signals_did(anyio_backend: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(backend=anyio_backend))
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGTERM)
        assert process.stderr.readline() == "INFO SIGTERM: stopping; 1 jobs run and may end. Once more cancels them\n"
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert said.splitlines() == [
        "WARNING SIGTERM again: cancelling; running jobs are handed back. Once more exits at once",
        "WARNING 1 running jobs were handed back",
    ]
    assert process.returncode == 0
