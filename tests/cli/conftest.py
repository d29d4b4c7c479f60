"""What the command line's tests share: an app in a folder, commands run in this process, and subprocesses."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from attrs import frozen

from conveyor import Conveyor
from conveyor.__main__ import main
from conveyor._cli.discovery import load_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HELLO = """
from pathlib import Path
import anyio
from conveyor import Conveyor, JobContext

app = Conveyor("sqlite:///jobs.db")
mails = app.queue("mails")
empty = Conveyor("memory://")

@mails.job(tags=("greeting",))
async def send(to: str) -> str:
    return f"sent to {to}"

@mails.job()
async def fail(context: JobContext, reason: str) -> None:
    context.log("about to fail")
    raise ValueError(reason)

@mails.job()
async def wait_for(file: str) -> str:
    Path(file + ".started").touch()
    while not Path(file).exists():
        await anyio.sleep(0.01)
    return "done"
"""


@frozen
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, read as JSON."""
        return json.loads(self.out)


class Keyboard(io.StringIO):
    """A terminal's stdin."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with an app, hello:app, and nothing configured."""
    for name in ("CONVEYOR_APP", "CONVEYOR_MASKED_FIELDS", "CONVEYOR_STORE", "CONVEYOR_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "hello.py").write_text(HELLO)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'hello'\n")
    monkeypatch.chdir(tmp_path)
    modules, path = set(sys.modules), list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def conveyor(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command in this process, in that folder."""

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(arguments)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let somebody sit at the terminal, who types this."""

    def sit(typed: str) -> None:
        monkeypatch.setattr("sys.stdin", Keyboard(typed))

    return sit


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command as a process of its own, in that folder; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "conveyor", *arguments]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def add(folder: Path) -> Callable[..., str]:
    """Add a job to the store of hello:app; return its id."""

    def run(name: str, data: object, queue: str = "mails", **options: Any) -> str:
        async def add_one() -> str:
            async with Conveyor("sqlite:///jobs.db") as app:
                return (await app.queue(queue).add(name, data, **options)).id

        return anyio.run(add_one)

    return run


@pytest.fixture
def work(folder: Path) -> Callable[[], None]:
    """Run what waits in the store of hello:app until nothing does."""

    def run() -> None:
        async def work_off() -> None:
            async with load_app("hello:app") as app:
                waiting = await app.queue("mails").jobs("waiting")
                async with app.worker():
                    for job in waiting:
                        await job.wait_until_finished("20s")

        anyio.run(work_off)

    return run


def await_file(path: Path) -> None:
    """Return when there is such a file."""
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.005)


def await_line(process: subprocess.Popen[str], text: str) -> str:
    """Return the next line on stderr that holds the text."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if text in line:
            return line
    raise AssertionError(f"{text!r} was never said: {''.join(seen)}")
