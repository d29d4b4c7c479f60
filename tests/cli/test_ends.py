"""Workers that end by themselves: ``--burst`` and ``--max-jobs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.cli.conftest import Ran

BACKENDS = ["asyncio", "trio"]


def ended(process: subprocess.Popen[str]) -> list[str]:
    """Return what was said by a worker that ended by itself, and well."""
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    return said.splitlines()


def counts(conveyor: Callable[..., Ran]) -> dict[str, int]:
    """Return how many jobs of the app there are, in the states that have any."""
    (queue,) = conveyor("queues", "list", "--app", "hello:app", "-o", "json").json
    return {state: count for state, count in queue["counts"].items() if count}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_burst_runs_what_waits_and_says_how_it_ended(
    backend: str, start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], conveyor: Callable[..., Ran]
) -> None:
    for number in range(4):
        add("send", {"to": str(number)})
    add("fail", {"reason": "no"})
    add("send", {"to": "tomorrow"}, delay="1 day")
    said = ended(start("worker", "hello:app", "--burst", "--backend", backend))
    assert said[-1] == "done: ran 5 jobs: 4 completed, 1 failed"
    assert counts(conveyor) == {"completed": 4, "failed": 1, "delayed": 1}


def test_a_burst_has_nothing_to_do(start: Callable[..., subprocess.Popen[str]]) -> None:
    assert ended(start("worker", "hello:app", "--burst"))[-1] == "done: ran 0 jobs"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_worker_ends_after_so_many_jobs(
    backend: str, start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], conveyor: Callable[..., Ran]
) -> None:
    for number in range(6):
        add("send", {"to": str(number)})
    said = ended(start("worker", "hello:app", "--max-jobs", "4", "--backend", backend))
    assert said[-1] == "done: ran 4 jobs: 4 completed"
    assert counts(conveyor) == {"completed": 4, "waiting": 2}


def test_each_run_is_shown_as_it_starts_and_ends(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str]
) -> None:
    sent, failed = add("send", {"to": "ada"}), add("fail", {"reason": "a \x1b[31mred\nreason"})
    said = ended(start("worker", "hello:app", "--burst", "--log-jobs", "--concurrency", "1"))
    first, last = next(i for i, line in enumerate(said) if " start " in line), -1
    lines = [line.partition(" ")[2] for line in said[first:last]]
    assert [line.partition(" after ")[0] for line in lines] == [
        f"start mails/send ({sent})",
        f"completed mails/send ({sent})",
        f"start mails/fail ({failed})",
        f"failed mails/fail ({failed})",
    ]
    assert lines[-1].endswith("ms: ValueError: a \\x1b[31mred reason")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--max-jobs", "0"), "max_jobs must be"),
        (("--processes", "0"), "at least 1, or auto"),
        (("--reload", "--processes", "2"), "--reload runs one process"),
        (("--reload-dir", "."), "--reload-dir is for --reload"),
        (("--reload", "--reload-dir", "nowhere"), "there is no such folder"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: tuple[str, ...], said: str, conveyor: Callable[..., Ran]
) -> None:
    ran = conveyor("worker", "hello:app", *arguments)
    assert ran.code == 2
    assert said in ran.err
