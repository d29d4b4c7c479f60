"""Builds what ``conveyor plugins new`` writes into wheels, and runs its tests where only wheels are installed.

    python -m tests.plugins

A wheel of this checkout is installed in an environment of its own. With it each kind of plugin is made, and then
checked by mypy, built, installed beside it, and tested. What is needed besides comes from the package index.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final, get_args

from conveyor._cli.plugins.scaffold import Kind
from tests.environments import build, environment_command, install, python_of, run_all, timed
from tests.house.tree import ROOT

# Its tests are many, so that each backend gets a process of its own.
SHARES: Final = {"store": ("asyncio", "not asyncio"), "job-queue": ("",)}


def main() -> int:
    """Do it all; return 0 if everything passed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        wheels, environment = folder / "wheels", folder / "environment"
        with timed("conveyor built and installed"):
            run_all([build(ROOT, wheels, "--wheel"), (folder, environment_command(environment))])
            run_all([(folder, install(environment, *wheels.glob("*.whl"), "pytest", "hypothesis"))])
        python = python_of(environment)
        command = str(python.with_name("conveyor"))
        made = {kind: folder / f"conveyor-plugin-made-{kind}" for kind in get_args(Kind)}
        with timed("plugins made, built, checked and installed"):
            run_all((folder, [command, "plugins", "new", f"made-{kind}", "--kind", kind]) for kind in made)
            checks = [(source, [sys.executable, "-m", "mypy", "."]) for source in made.values()]
            run_all([*(build(source, wheels, "--wheel") for source in made.values()), *checks])
            run_all([(folder, install(environment, *wheels.glob("*.whl"), "--no-index"))])
        run_all([(folder, [command, "plugins", "list", "--load"])])
        run_all([(folder, [command, "plugins", "doctor"])])
        with timed("plugins tested"):
            run_all(
                (made[kind], [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", share])
                for kind in made
                for share in SHARES[kind]
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
