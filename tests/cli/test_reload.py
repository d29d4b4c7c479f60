"""``--reload`` and ``conveyor dev``: the worker starts again when the code changes, whatever was wrong with it."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import HELLO, await_file, await_line
from tests.cli.test_ends import counts

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

BACKENDS = ["asyncio", "trio"]


def stop(process: subprocess.Popen[str]) -> str:
    """Stop it with one signal and return what was said since."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_change_starts_the_worker_again_with_the_new_code(
    backend: str, start: Callable[..., subprocess.Popen[str]], folder: Path
) -> None:
    process = start("worker", "hello:app", "--reload", "--backend", backend)
    assert str(folder) in await_line(process, "watching .py files")
    assert "brand_new" not in await_line(process, "queue mails")
    await_line(process, "twice: they are")
    (folder / "hello.py").write_text(HELLO + "@mails.job()\nasync def brand_new() -> None: ...\n")
    assert await_line(process, "changed") == "hello.py changed: starting again\n"
    assert "brand_new" in await_line(process, "queue mails")
    await_line(process, "twice: they are")
    assert "stopped: every running job has ended" in stop(process)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_mistake_in_the_app_is_said_and_the_next_change_is_waited_for(
    backend: str, start: Callable[..., subprocess.Popen[str]], folder: Path
) -> None:
    process = start("worker", "hello:app", "--reload", "--backend", backend)
    await_line(process, "twice: they are")
    (folder / "hello.py").write_text("def broken(:\n")
    assert "SyntaxError" in await_line(process, "error: importing 'hello' failed")
    assert await_line(process, "the worker") == "the worker exited with 2; it starts again when a file changes\n"
    (folder / "hello.py").write_text(HELLO)
    await_line(process, "twice: they are")
    stop(process)


def test_a_mistake_in_the_app_at_first_is_waited_out_too(
    start: Callable[..., subprocess.Popen[str]], folder: Path
) -> None:
    (folder / "hello.py").write_text("import nothing_of_this_name\n")
    process = start("worker", "hello:app", "--reload")
    await_line(process, "the worker exited with 2")
    assert stop(process) == ""


def test_a_job_that_takes_longer_than_the_grace_is_handed_back_to_the_new_code(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path, conveyor: Callable[..., Ran]
) -> None:
    add("wait_for", {"file": "done"})
    process = start("worker", "hello:app", "--reload", "--shutdown-grace", "100ms")
    await_file(folder / "done.started")
    (folder / "done.started").unlink()
    (folder / "other.py").touch()
    assert await_line(process, "changed") == "other.py changed: starting again\n"
    await_line(process, "1 job handed back")
    await_file(folder / "done.started")
    (folder / "done").touch()
    stop(process)
    assert counts(conveyor) == {"completed": 1}


def test_only_the_folders_that_are_named_are_watched(start: Callable[..., subprocess.Popen[str]], folder: Path) -> None:
    (folder / "src").mkdir()
    process = start("worker", "hello:app", "--reload", "--reload-dir", "src")
    await_line(process, "twice: they are")
    (folder / "elsewhere.py").touch()
    (folder / "src" / "notes.txt").touch()
    (folder / "src" / "here.py").touch()
    assert await_line(process, "changed") == "src/here.py changed: starting again\n"
    await_line(process, "twice: they are")
    stop(process)


def test_the_second_signal_hands_back(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path, conveyor: Callable[..., Ran]
) -> None:
    add("wait_for", {"file": "never"})
    process = start("worker", "hello:app", "--reload", "--shutdown-grace", "20s")
    await_file(folder / "never.started")
    process.send_signal(signal.SIGINT)
    await_line(process, "stopping: 1 job running")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "cancelled; 1 job handed back" in said
    assert counts(conveyor) == {"waiting": 1}


@pytest.mark.parametrize("backend", BACKENDS)
def test_dev_shows_each_job_and_reloads(
    backend: str, start: Callable[..., subprocess.Popen[str]], add: Callable[..., str]
) -> None:
    process = start("dev", "hello:app", "--backend", backend)
    await_line(process, "watching .py files")
    assert "4 jobs at once" in await_line(process, "jobs at once")
    await_line(process, "twice: they are")
    job_id = add("send", {"to": "ada"})
    assert f"start mails/send ({job_id})" in await_line(process, " start ")
    assert f"completed mails/send ({job_id}) after " in await_line(process, " completed ")
    stop(process)


def test_what_is_missing_is_said(conveyor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    ran = conveyor("dev", "hello:app")
    assert (ran.code, ran.err) == (2, "error: --reload needs watchfiles: pip install 'conveyor[dev]'\n")
