"""Programs that ``conveyor.run`` takes over: they stop when signalled, and the log says how."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor._runtime.signals import INTERRUPTED, watch_signals

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


BLOCKED: Final = PROGRAM.replace("await anyio.sleep_forever()", "__import__('time').sleep(600)")


def test_the_third_signal_ends_a_program_whose_event_loop_is_blocked(anyio_backend: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(BLOCKED.format(backend=anyio_backend))
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        asked = 0
        try:
            while process.poll() is None:
                # Signals of one kind that nobody has taken yet are one.
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
                asked += 1
                assert asked < 300
        finally:
            process.kill()
    assert process.returncode == INTERRUPTED


@pytest.mark.anyio
async def test_two_signals_that_come_while_the_event_loop_is_blocked_are_two() -> None:
    told: list[str] = []
    second = anyio.Event()

    def cancel(name: str) -> None:
        told.append(f"cancel {name}")
        second.set()

    before = signal.getsignal(signal.SIGTERM)
    async with anyio.create_task_group() as tasks:
        await tasks.start(watch_signals, lambda name: told.append(f"stop {name}"), cancel)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        with anyio.fail_after(10):
            await second.wait()
        tasks.cancel_scope.cancel()
    assert told == ["stop SIGINT", "cancel SIGINT"]
    assert signal.getsignal(signal.SIGTERM) == before
