"""``conveyor top``: once as text and JSON, and live at a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

STORE: Final = ("--store", "sqlite:///jobs.db")


@pytest.fixture
def worked(add: Callable[..., str], work: Callable[[], None]) -> None:
    """A store in which one job failed and one waits."""
    add("fail", {"reason": "no stamps"})
    work()
    add("send", {"to": "ada"})


@pytest.mark.usefixtures("worked")
def test_a_look_tells_depths_and_runs(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("top", *STORE, "-o", "json")
    assert (ran.code, ran.err) == (0, "")
    (queue,) = ran.json["queues"]
    assert (queue["name"], queue["counts"]["waiting"], queue["outcomes"]) == ("mails", 1, {"failed": 1})
    assert queue["oldest_waiting_seconds"] >= 0
    (job,) = ran.json["jobs"]
    assert (job["queue"], job["outcomes"]) == ("mails", {"failed": 1})
    assert 0 < job["run_seconds"]["p50"] <= job["run_seconds"]["p99"]
    assert ran.json["window_seconds"] == 300
    assert ran.json["workers"] == []


@pytest.mark.usefixtures("worked")
def test_without_a_terminal_it_prints_once(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("top", *STORE, "--window", "1h")
    assert (ran.code, ran.err) == (0, "")
    first, *lines = ran.out.splitlines()
    assert "runs of the last 1h" in first
    assert any(line.split()[:2] == ["mails", "1"] for line in lines)
    assert any("fail" in line and "ms" in line for line in lines)


def test_an_empty_store_has_only_a_headline(conveyor: Callable[..., Ran]) -> None:
    assert conveyor("store", "migrate", *STORE).code == 0
    ran = conveyor("top", *STORE)
    assert (ran.code, len(ran.out.splitlines())) == (0, 1)


@pytest.mark.parametrize("option", ["--every", "--window"])
@pytest.mark.parametrize("value", ["0s", "soon"])
def test_a_bad_duration_is_wrong_usage(conveyor: Callable[..., Ran], option: str, value: str) -> None:
    conveyor("store", "migrate", *STORE)
    ran = conveyor("top", *STORE, option, value)
    assert ran.code == 2
    assert option.removeprefix("--") in ran.err


@pytest.mark.usefixtures("worked")
def test_at_a_terminal_it_goes_on_until_ctrl_c() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "conveyor", "top", *STORE, "--every", "50ms"]
    # The terminal's own size is 0 by 0.
    environment = os.environ | {"COLUMNS": "120", "LINES": "30", "TERM": "xterm"}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment, start_new_session=True
    )
    os.close(theirs)
    try:
        seen = _read_until(ours, lambda text: text.count("runs of the last 5m") >= 3)
        assert "mails" in seen
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        os.close(ours)
    assert process.returncode == 130
    assert b"Traceback" not in said


def _read_until(terminal: int, is_enough: Callable[[str], bool]) -> str:
    seen, give_up_at = "", time.monotonic() + 30
    while not is_enough(seen):
        assert time.monotonic() < give_up_at, seen
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 65_536).decode(errors="replace")
    return seen
