"""``conveyor shell``: Python with the app open, and await at the prompt."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

APP = ("--app", "hello:app")


@pytest.fixture(autouse=True)
def _store(conveyor: Callable[..., Ran]) -> None:
    conveyor("store", "migrate", *APP)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_code_runs_with_the_app_open_and_may_await(conveyor: Callable[..., Ran], backend: str) -> None:
    code = "job = await send.add('ada'); print(await jobs.count(), await queues['mails'].count('waiting'), job.state)"
    ran = conveyor("shell", *APP, "--backend", backend, "-c", code)
    assert (ran.code, ran.out, ran.err) == (0, "1 1 waiting\n", "")


def test_what_comes_on_stdin_runs_as_a_program(conveyor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sys.stdin", io.StringIO("for n in range(2):\n    await send.add(str(n))\nprint(await jobs.count())\n")
    )
    assert conveyor("shell", *APP).out == "2\n"


def test_an_error_is_shown_from_the_code_on_and_exits_1(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("shell", *APP, "-c", "await jobs.get('nobody')")
    assert ran.code == 1
    lines = ran.err.splitlines()
    assert lines[1].strip() == 'File "<-c>", line 1, in <module>'
    assert "JobNotFoundError" in lines[-1]
    assert conveyor("shell", *APP, "-c", "a b").code == 1


def test_the_prompt_goes_on_after_an_error_and_until_the_end_of_input(
    conveyor: Callable[..., Ran], at_terminal: Callable[[str], None]
) -> None:
    at_terminal("1 / 0\nawait jobs.get('nobody')\nawait jobs.count()\nx = 6 * 7\nx\n")
    ran = conveyor("shell", *APP)
    assert ran.code == 0
    assert "ZeroDivisionError" in ran.err
    assert "JobNotFoundError" in ran.err
    assert "prompt.py" not in ran.err
    assert "send" in ran.err, "the greeting names the handlers"
    assert "0\n" in ran.out
    assert "42\n" in ran.out


def test_an_operator_needs_no_app(conveyor: Callable[..., Ran], folder: Path) -> None:
    ran = conveyor("shell", "--store", "sqlite:///jobs.db", "-c", "print(app, queues)")
    assert (ran.code, ran.out.split()[-1]) == (0, "{}")
