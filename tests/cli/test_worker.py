"""``conveyor worker``: says what it serves, and ends as the signals ask."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import await_file, await_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_the_running_job_end(
    asked: signal.Signals,
    *,
    backend: str,
    conveyor: Callable[..., Ran],
    start: Callable[..., subprocess.Popen[str]],
    add: Callable[..., str],
    folder: Path,
) -> None:
    job_id = add("wait_for", {"file": "done"})
    process = start("worker", "hello:app", "--backend", backend)
    await_line(process, "jobs at once")
    await_file(folder / "done.started")
    process.send_signal(asked)
    await_line(process, "stopping")
    (folder / "done").touch()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in said
    assert conveyor("jobs", "show", job_id, "--app", "hello:app", "-o", "json").json["state"] == "completed"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_second_signal_hands_the_running_job_back(
    backend: str,
    conveyor: Callable[..., Ran],
    start: Callable[..., subprocess.Popen[str]],
    add: Callable[..., str],
    folder: Path,
) -> None:
    job_id = add("wait_for", {"file": "never"})
    process = start("worker", "--app", "hello:app", "--backend", backend)
    await_file(folder / "never.started")
    process.send_signal(signal.SIGINT)
    await_line(process, "stopping")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in said
    job = conveyor("jobs", "show", job_id, "--app", "hello:app", "-o", "json").json
    assert (job["state"], job["attempts_made"]) == ("waiting", 0)


def test_a_worker_says_what_it_serves(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("worker", "hello:app", "--queues", "mails:3", "--concurrency", "4", "--shutdown-grace", "5s")
    first = await_line(process, "worker")
    assert f"worker {process.pid} on asyncio" in first
    assert "sqlite:jobs.db" in await_line(process, "store")
    assert await_line(process, "queue mails").strip() == "queue mails (weight 3): fail, send, wait_for"
    assert "4" in await_line(process, "jobs at once")
    assert "(5s at most)" in await_line(process, "Ctrl+C")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")


def test_a_worker_may_serve_another_store(
    conveyor: Callable[..., Ran], start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start("worker", "hello:app", "--store", "sqlite:///other.db")
    assert "sqlite:other.db" in await_line(process, "store")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hello:app", "--queues", "mials"), "did you mean 'mails'?"),
        (("hello:empty",), "no queue of this app has a handler"),
        ((), "no app is named"),
        (("hello:app", "--app", "hello:empty"), "named twice"),
        (("hello:app", "--queues", "mails:x"), "such as emails:3"),
        (("hello:app", "--queues", "mails:0"), "at least 1"),
        (("hello:app", "--queues", "mails", "mails"), "twice"),
        (("hello:app", "--concurrency", "0"), "concurrency must be"),
        (("hello:app", "--shutdown-grace", "soon"), "no duration"),
    ],
)
def test_a_worker_that_cannot_start_exits_2(
    arguments: tuple[str, ...], said: str, conveyor: Callable[..., Ran]
) -> None:
    ran = conveyor("worker", *arguments)
    assert ran.code == 2
    assert said in ran.err


def test_a_reader_that_leaves_early_is_no_error_to_show(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str]
) -> None:
    for number in range(5):
        add("send", {"to": f"{number}" * 20_000})
    process = start("jobs", "list", "--app", "hello:app", "-o", "json")
    assert process.stdout is not None
    process.stdout.read(1)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait(timeout=20)
