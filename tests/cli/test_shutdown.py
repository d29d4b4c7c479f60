"""How ``conveyor worker`` goes down: the countdown, what it hands back, what it leaves behind, its exit codes."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.conftest import await_file, await_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

THREADS: Final = """
import atexit, time
from pathlib import Path
from conveyor import Conveyor

app = Conveyor("sqlite:///jobs.db")

@app.queue("slow").job()
def sleep_on(name: str) -> None:
    Path(name).touch()
    time.sleep(120)

atexit.register(lambda: Path("said goodbye").touch())
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_first_signal_says_what_is_waited_for_and_the_end_says_that_it_came(
    backend: str, start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path
) -> None:
    add("wait_for", {"file": "done"})
    process = start("worker", "hello:app", "--backend", backend, "--shutdown-grace", "28s")
    await_file(folder / "done.started")
    process.send_signal(signal.SIGTERM)
    said = await_line(process, "stopping")
    assert said == "SIGTERM: stopping: 1 job running, 28 s left; signal again to hand it back\n"
    (folder / "done").touch()
    _, rest = process.communicate(timeout=20)
    assert rest == "stopped: every running job has ended\n"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_second_signal_says_how_many_were_handed_back(
    backend: str, start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path
) -> None:
    for number in range(3):
        add("wait_for", {"file": f"never{number}"})
    process = start("worker", "hello:app", "--backend", backend)
    for number in range(3):
        await_file(folder / f"never{number}.started")
    process.send_signal(signal.SIGINT)
    await_line(process, "stopping: 3 jobs running")
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=20)
    assert rest.splitlines() == [
        "SIGINT again: cancelling: handing 3 jobs back; once more exits at once",
        "cancelled; 3 jobs handed back",
    ]
    assert process.returncode == 130


def test_what_outlives_the_grace_is_counted(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path
) -> None:
    add("wait_for", {"file": "never"})
    process = start("worker", "hello:app", "--shutdown-grace", "100ms", "--log-level", "error")
    await_file(folder / "never.started")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert said.endswith("stopped: the grace is over; 1 job handed back\n")
    assert process.returncode == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_terminal_gets_a_countdown_in_place(backend: str, add: Callable[..., str], folder: Path) -> None:
    add("wait_for", {"file": "done"})
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "conveyor", "worker", "hello:app", "--backend", backend, "--shutdown-grace", "28s"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, cwd=folder, stderr=follower, stdout=follower, env=environment) as process:
        os.close(follower)
        await_file(folder / "done.started")
        process.send_signal(signal.SIGINT)
        shown = _read_until(leader, "26 s left")
        (folder / "done").touch()
        shown += _read_until(leader, "stopped: every running job has ended")
        assert process.wait(timeout=20) == 0
    os.close(leader)
    line = "stopping: 1 job running, {} s left; press Ctrl-C again to hand it back"
    assert [line.format(left) in shown for left in (28, 27, 26)] == [True] * 3
    # Each stands where the one before stood, and the cursor is not left hidden.
    between = shown[shown.index("28 s left") : shown.index("26 s left")]
    assert "\x1b[2K" in between
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def _read_until(leader: int, text: str) -> str:
    shown = ""
    deadline = time.monotonic() + 20
    while text not in shown:
        assert time.monotonic() < deadline, shown
        shown += os.read(leader, 4096).decode()
    return shown


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_threads_of_jobs_that_were_handed_back_do_not_keep_the_process(
    backend: str,
    start: Callable[..., subprocess.Popen[str]],
    add: Callable[..., str],
    conveyor: Callable[..., Ran],
    folder: Path,
) -> None:
    (folder / "threads.py").write_text(THREADS)
    job_id = add("sleep_on", {"name": "asleep"}, queue="slow")
    process = start("worker", "threads:app", "--backend", backend)
    await_file(folder / "asleep")
    process.send_signal(signal.SIGINT)
    await_line(process, "stopping: 1 job running")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)  # its thread would sleep for two minutes
    assert process.returncode == 130
    assert said.endswith(
        f"leaving behind the threads of sync handlers, which cannot be cancelled: sleep_on ({job_id})\n"
    )
    assert (folder / "said goodbye").exists()
    job = conveyor("jobs", "show", job_id, "--app", "hello:app", "-o", "json").json
    assert (job["state"], job["attempts_made"]) == ("waiting", 0)


def _replaced(process: subprocess.Popen[str], folder: Path, other: Path) -> str:
    await_line(process, "jobs at once")
    other.replace(folder / "jobs.db")
    _, said = process.communicate(timeout=30)
    return said


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_file_that_turns_out_to_be_no_database_ends_the_worker_with_4(
    backend: str, start: Callable[..., subprocess.Popen[str]], folder: Path
) -> None:
    process = start("worker", "hello:app", "--backend", backend)
    rubbish = folder / "rubbish"
    rubbish.write_text("a shopping list, long enough to be read as a header by whoever reads headers\n" * 20)
    said = _replaced(process, folder, rubbish)
    assert re.search(r"^error: .*not a database.*name another one", said, re.MULTILINE)
    assert process.returncode == 4


def test_a_file_with_a_newer_schema_ends_the_worker_with_6(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path
) -> None:
    add("send", {"to": "ada"})
    newer = folder / "newer.db"
    shutil.copy(folder / "jobs.db", newer)
    with sqlite3.connect(newer) as connection:
        connection.execute("update conveyor_migrations set version = 999")
    connection.close()
    process = start("worker", "hello:app")
    assert "upgrade conveyor" in _replaced(process, folder, newer)
    assert process.returncode == 6


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="permissions bind root only without its capabilities"
)
def test_a_file_that_may_only_be_read_is_refused_with_4(add: Callable[..., str], folder: Path) -> None:
    add("send", {"to": "ada"})
    bound = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
    (folder / "jobs.db").chmod(0o444)
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [*bound, sys.executable, "-m", "conveyor", "worker", "hello:app"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        folder.chmod(0o755)
    assert done.returncode == 4, done.stderr
    assert re.search("error: .*(may this process write there|right to write)", done.stderr)


def test_a_store_that_cannot_be_written_at_the_end_is_not_said_to_be(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path
) -> None:
    add("wait_for", {"file": "never"})
    process = start("worker", "hello:app", "--store", "sqlite:///jobs.db?busy_timeout=50ms")
    await_file(folder / "never.started")
    other = sqlite3.connect(folder / "jobs.db", isolation_level=None)
    other.execute("begin immediate")
    process.send_signal(signal.SIGINT)
    await_line(process, "stopping")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    other.close()
    assert said.endswith("stopped, but the last writes failed: what was running will be reclaimed as stalled\n")
    assert process.returncode == 130
