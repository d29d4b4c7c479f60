"""Help: every command explains itself, quickly, and usage errors are one line and an exit code."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cyclopts import App

from conveyor._cli.commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Ran


def every_command() -> Iterator[tuple[str, ...]]:
    yield ()
    for name, import_path, _ in COMMANDS:
        yield (name,)
        module, _, attribute = import_path.partition(":")
        if name == "demo":
            continue
        found = getattr(importlib.import_module(module), attribute)
        if isinstance(found, App):
            yield from ((name, inner) for inner in found if not inner.startswith("-"))


@pytest.mark.parametrize("command", list(every_command()), ids=" ".join)
def test_every_command_has_help_with_a_description_of_each_option(
    command: tuple[str, ...], conveyor: Callable[..., Ran]
) -> None:
    ran = conveyor(*command, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: {' '.join(['conveyor', *command])}")
    lines = [line.strip() for line in ran.out.splitlines()]
    bare = [line for line in lines if line.startswith("--") and "  " not in line]
    # A long label stands alone, and what it means on the next line.
    assert all(not lines[lines.index(line) + 1].startswith("--") for line in bare)


def test_help_and_the_front_door_load_no_event_loop_and_no_backend() -> None:
    heavy = "{'trio', 'asyncio', 'anyio', 'cattrs', 'msgspec', 'pluggy', 'sqlite3'}"
    script = (
        "import sys, conveyor\n"
        "from conveyor.__main__ import main\n"
        f"main(['jobs', 'list', '--help']); found = {heavy} & set(sys.modules)\n"
        # The list of commands asks plugins for theirs.
        f"main(['--help']); found |= {heavy} - {{'pluggy'}} & set(sys.modules)\n"
        "sys.exit(repr(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("jbos",), 'Did you mean "jobs"?'),
        (("jobs", "lst"), 'Did you mean "list"?'),
        (("jobs", "list", "--stat", "failed"), "Did you mean --state?"),
        (("jobs", "show"), "JOB_ID"),
        (("jobs", "list", "-o", "xml"), '"table", "json", "jsonl"'),
        (("jobs", "list", "--limit", "0"), ">= 1"),
        (("worker", "--backend", "curio"), '"asyncio", "trio"'),
    ],
)
def test_a_usage_error_says_what_is_allowed_and_exits_2(
    arguments: tuple[str, ...], said: str, conveyor: Callable[..., Ran]
) -> None:
    ran = conveyor(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "--help" in ran.err


def test_version_comes_as_a_line_and_as_json(conveyor: Callable[..., Ran]) -> None:
    import conveyor as package

    assert conveyor("version").out == f"conveyor {package.__version__}\n"
    assert conveyor("version", "-o", "json").json["conveyor"] == package.__version__
