"""SIGUSR1: a worker shows what runs, and where, on whatever it runs and however badly it behaves."""

from __future__ import annotations

import re
import signal
import threading
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.conftest import await_file, await_line

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

BACKENDS = ["asyncio", "trio"]

RUNS: Final = """
import time
from pathlib import Path
import anyio
from conveyor import Conveyor, JobContext

app = Conveyor("sqlite:///jobs.db")
work = app.queue("work")

async def numbers():
    Path("iterate.started").touch()
    while True:
        await anyio.sleep(60)
        yield 1

@work.job()
async def iterate() -> None:
    async for number in numbers():
        print(number)

async def child() -> None:
    Path("divide.started").touch()
    await anyio.sleep_forever()

@work.job()
async def divide() -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(child, name="a child")

@work.job()
def sleep_on() -> None:
    Path("sleep_on.started").touch()
    while not Path("wake up").exists():
        time.sleep(0.01)

def compute() -> None:
    Path("block.started").touch()
    while not Path("enough").exists():
        pass

@work.job()
async def block() -> None:
    compute()
"""


def dumped(process: subprocess.Popen[str], last: str) -> str:
    """Ask a worker for dumps until one has a line that holds `last`, and return that one up to there.

    A handler that has said that it runs may not have come yet to where it waits, so one question may be too early.
    """
    assert process.stderr is not None
    is_found = threading.Event()
    asking = threading.Thread(target=ask_again_and_again, args=(process, is_found))
    asking.start()
    try:
        said = await_line(process, "SIGUSR1")
        while last not in said.splitlines()[-1]:
            line = process.stderr.readline()
            assert line, said
            said = line if line.startswith("SIGUSR1") else said + line
    finally:
        is_found.set()
        asking.join()
    return said


def ask_again_and_again(process: subprocess.Popen[str], is_found: threading.Event) -> None:
    """Send the signal once, and each second again until what it is to show was found."""
    process.send_signal(signal.SIGUSR1)
    while not is_found.wait(1):
        process.send_signal(signal.SIGUSR1)


@pytest.fixture
def run(
    folder: Path, start: Callable[..., subprocess.Popen[str]], add: Callable[..., str]
) -> Callable[..., tuple[subprocess.Popen[str], str]]:
    """Start a worker with one job, which runs."""
    (folder / "runs.py").write_text(RUNS)

    def run_one(name: str, backend: str) -> tuple[subprocess.Popen[str], str]:
        job_id = add(name, {}, queue="work")
        process = start("worker", "runs:app", "--backend", backend)
        await_file(folder / f"{name}.started")
        return process, job_id

    return run_one


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_handler_is_shown_through_what_it_awaits(
    backend: str, run: Callable[..., tuple[subprocess.Popen[str], str]]
) -> None:
    process, job_id = run("iterate", backend)
    said = dumped(process, "await anyio.sleep(60)")
    assert said.startswith(f"SIGUSR1: worker {process.pid} runs 1 job\n")
    assert re.search(
        rf"^job {job_id}, queue 'work', name 'iterate', attempt 1, since \S+, task 'conveyor slot \d'$",
        said,
        re.MULTILINE,
    )
    # From the handler on, and through the async generator.
    assert re.findall(r"in (\w+)$", said, re.MULTILINE) == ["iterate", "numbers"]
    process.send_signal(signal.SIGTERM)
    await_line(process, "stopping: 1 job running")  # it goes on as if nothing had been


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_tasks_of_a_handler_are_shown_below_it(
    backend: str, run: Callable[..., tuple[subprocess.Popen[str], str]]
) -> None:
    process, _ = run("divide", backend)
    said = dumped(process, "await anyio.sleep_forever()")
    assert "in divide" in said
    assert "\n  task 'a child' of it:\n" in said
    assert re.search(r"^    File .*, in child$", said, re.MULTILINE)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_sync_handler_is_shown_in_its_thread(
    backend: str, run: Callable[..., tuple[subprocess.Popen[str], str]], folder: Path
) -> None:
    process, job_id = run("sleep_on", backend)
    said = dumped(process, "in sleep_on")
    assert re.search(rf"^job {job_id}, .*, thread '.+' \(\d+\)$", said, re.MULTILINE)
    assert re.findall(r"in (\w+)$", said, re.MULTILINE) == ["sleep_on"]
    (folder / "wake up").touch()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_handler_that_blocks_the_event_loop_is_shown_too(
    backend: str, run: Callable[..., tuple[subprocess.Popen[str], str]], folder: Path
) -> None:
    process, job_id = run("block", backend)
    said = dumped(process, "in compute")
    assert job_id in said
    assert re.findall(r"in (\w+)$", said, re.MULTILINE) == ["block", "compute"]
    (folder / "enough").touch()


def test_an_idle_worker_says_so(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("worker", "hello:app")
    await_line(process, "twice: they are")
    assert dumped(process, "SIGUSR1") == f"SIGUSR1: worker {process.pid} runs 0 jobs\n"
