"""Fresh environments: build distributions, install them, and run what is installed, away from this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["build", "environment_command", "install", "python_of", "run_all", "timed"]


def build(source: Path, out: Path, *kinds: str) -> tuple[Path, list[str]]:
    """Return the command that builds a wheel, by way of an sdist; without isolation, for what it needs is here."""
    return source, [sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", str(out)]


def environment_command(folder: Path) -> list[str]:
    """Return the command that makes an empty environment, of the same Python as this one."""
    return [sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, str(folder)]


def python_of(folder: Path) -> Path:
    """Return the Python of an environment."""
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


def install(folder: Path, *wanted: object) -> list[str]:
    """Return the command that installs distributions into an environment; options of uv may stand among them."""
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet"]
    return [*uv, "--python", str(python_of(folder)), *map(str, wanted)]


def run_all(commands: Iterable[tuple[Path, Sequence[str]]]) -> None:
    """Run commands at once, each in its folder; print what they said, and exit if one failed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CONVEYOR_"))}
    running = [
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for folder, command in commands
    ]
    said = [process.communicate()[0] for process in running]
    print(*(text.rstrip() for text in said if text.strip()), sep="\n", flush=True)
    if any(process.returncode for process in running):
        failed = [" ".join(map(str, process.args)) for process in running if process.returncode]  # type: ignore[arg-type]
        sys.exit(f"failed: {'; '.join(failed)}")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long a step took."""
    start = time.perf_counter()
    yield
    print(f"{what} in {time.perf_counter() - start:.1f} s", flush=True)
