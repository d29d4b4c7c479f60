"""``conveyor worker --processes``: as many as asked for, started again when they die, stopped together."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.conftest import await_file, await_line
from tests.cli.test_ends import counts, ended

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.cli.conftest import Ran

BACKENDS = ["asyncio", "trio"]

# Loads in the process that looks after the others, and in none of those.
CHILDLESS: Final = """
import os, signal, sys
from hello import app
if any(argument.startswith("--parent-pipe") for argument in sys.argv):
    {}
"""


def pids(process: subprocess.Popen[str], count: int = 2) -> dict[int, int]:
    """Return the ids of the worker processes by their numbers, once they have said them."""
    found: dict[int, int] = {}
    while len(found) < count:
        said = re.match(r"\[(\d+)\] conveyor .*: worker (\d+) on", await_line(process, ": worker "))
        assert said is not None
        found[int(said[1])] = int(said[2])
    return found


def is_there(pid: int) -> bool:
    """Whether there is such a process, which has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_signal_lets_the_jobs_of_all_end(
    backend: str,
    start: Callable[..., subprocess.Popen[str]],
    add: Callable[..., str],
    folder: Path,
    conveyor: Callable[..., Ran],
) -> None:
    for number in range(2):
        add("wait_for", {"file": f"done{number}"})
    process = start("worker", "hello:app", "--processes", "2", "--concurrency", "1", "--backend", backend)
    for number in range(2):
        await_file(folder / f"done{number}.started")
    process.send_signal(signal.SIGTERM)
    assert await_line(process, "2 worker processes;")
    for _ in range(2):
        assert re.match(r"\[[12]\] SIGTERM: stopping: 1 job running", await_line(process, "] SIGTERM"))
    for number in range(2):
        (folder / f"done{number}").touch()
    said = ended(process)
    assert sorted(said)[:2] == [f"[{number}] stopped: every running job has ended" for number in (1, 2)]
    assert counts(conveyor) == {"completed": 2}


def test_the_second_signal_hands_the_jobs_of_all_back(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path, conveyor: Callable[..., Ran]
) -> None:
    for number in range(2):
        add("wait_for", {"file": f"never{number}"})
    process = start("worker", "hello:app", "--processes", "2", "--concurrency", "1")
    for number in range(2):
        await_file(folder / f"never{number}.started")
    process.send_signal(signal.SIGINT)
    for _ in range(2):
        await_line(process, "] SIGINT: stopping")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.count("cancelled; 1 job handed back") == 2
    assert counts(conveyor) == {"waiting": 2}


def test_the_third_signal_kills(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path
) -> None:
    (folder / "stubborn.py").write_text(
        "from hello import app\nimport time\nfrom pathlib import Path\n"
        "@app.queue('mails').job()\n"
        "async def block() -> None:\n    Path('blocked').touch()\n    time.sleep(120)\n"
    )
    add("block", {})
    process = start("worker", "stubborn:app", "--processes", "1")
    child = pids(process, 1)[1]
    await_file(folder / "blocked")
    for words in ("stopping 1 worker process", "again: cancelling", "once more: killing"):
        process.send_signal(signal.SIGTERM)
        await_line(process, words)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert not is_there(child)


def test_a_process_that_dies_is_started_again(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("worker", "hello:app", "--processes", "2")
    before = pids(process)
    os.kill(before[2], signal.SIGKILL)
    assert await_line(process, "process 2") == "process 2 was ended by SIGKILL; starting it again in 0.5 s\n"
    after = pids(process, 1)
    assert after.keys() == {2}
    assert after[2] != before[2]
    assert is_there(before[1])
    process.send_signal(signal.SIGTERM)
    ended(process)


def test_a_process_that_has_run_its_jobs_is_replaced(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str]
) -> None:
    for number in range(3):
        add("send", {"to": str(number)})
    process = start("worker", "hello:app", "--processes", "1", "--max-jobs", "2")
    first = pids(process, 1)
    assert "ran 2 jobs" in await_line(process, "done:")
    assert await_line(process, "process 1") == "process 1 exited with 0; starting it again now\n"
    assert pids(process, 1) != first
    process.send_signal(signal.SIGTERM)
    ended(process)


def test_a_burst_ends_with_its_processes(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], conveyor: Callable[..., Ran]
) -> None:
    for number in range(5):
        add("send", {"to": str(number)})
    said = ended(start("worker", "hello:app", "--processes", "2", "--burst"))
    totals = [int(line.split()[3]) for line in said if "] done: ran" in line]
    assert (len(totals), sum(totals)) == (2, 5)
    assert counts(conveyor) == {"completed": 5}


@pytest.mark.parametrize(
    ("death", "code", "words"),
    [
        ("raise RuntimeError('only in children')", 2, "process 1 exited with 2"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 1, "process 1 was ended by SIGKILL"),
    ],
    ids=["usage", "killed"],
)
def test_processes_that_die_at_once_are_given_up(
    death: str,
    code: int,
    words: str,
    start: Callable[..., subprocess.Popen[str]],
    folder: Path,
) -> None:
    (folder / "childless.py").write_text(CHILDLESS.format(death))
    process = start("worker", "childless:app", "--processes", "1")
    _, said = process.communicate(timeout=50)
    assert process.returncode == code, said
    assert f"error: {words}, and starting it again does not help\n" in said
    assert "hint: see what it said above, at [1]" in said
    assert said.count("starting it again in") == (0 if code == 2 else 4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_processes_stop_in_order_when_the_one_that_looks_after_them_is_killed(
    backend: str,
    start: Callable[..., subprocess.Popen[str]],
    add: Callable[..., str],
    folder: Path,
    conveyor: Callable[..., Ran],
) -> None:
    add("wait_for", {"file": "done"})
    process = start("worker", "hello:app", "--processes", "2", "--concurrency", "1", "--backend", backend)
    children = pids(process).values()
    await_file(folder / "done.started")
    process.kill()
    process.wait(timeout=20)
    await_that(lambda: sum(map(is_there, children)) == 1)  # the other lets its job end
    (folder / "done").touch()
    await_that(lambda: not any(map(is_there, children)))
    assert counts(conveyor) == {"completed": 1}


def await_that(condition: Callable[[], bool]) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_dump_shows_the_jobs_of_all(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path
) -> None:
    add("wait_for", {"file": "never"})
    process = start("worker", "hello:app", "--processes", "2")
    pids(process)
    await_file(folder / "never.started")
    process.send_signal(signal.SIGUSR1)
    heads = [await_line(process, "SIGUSR1: worker"), await_line(process, "SIGUSR1: worker")]
    assert sorted(head.rpartition(" runs ")[2] for head in heads) == ["0 jobs\n", "1 job\n"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hello:app", "--store", "memory://"), "needs the capability 'is_shared', which the store 'memory'"),
        (("hello:app", "--queues", "mials"), "queue 'mials' has no handler: did you mean 'mails'?"),
        (("hello:nothing",), "has no 'nothing'"),
        (("hello:app", "--concurrency", "0"), "concurrency must be"),
    ],
)
def test_what_no_process_could_do_is_said_once(
    arguments: tuple[str, ...], said: str, conveyor: Callable[..., Ran]
) -> None:
    ran = conveyor("worker", *arguments, "--processes", "2")
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("error:") == 1


def test_one_process_may_keep_its_store_in_memory(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("worker", "hello:app", "--store", "memory://", "--processes", "1", "--burst")
    assert "[1] done: ran 0 jobs" in ended(process)
