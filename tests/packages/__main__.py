"""Builds every distribution of this workspace, reads the archives, and uses each where it alone is installed.

    python -m tests.packages

Each wheel is built from its sdist. Wheels and sdists are installed in environments of their own, and conveyor's wheel
once more beside the lowest versions that it allows. What they depend on comes from the package index.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import frozen

from tests.environments import build, environment_command, install, python_of, run_all, timed
from tests.packages.distributions import UNFINISHED, Distribution, distributions

if TYPE_CHECKING:
    from collections.abc import Sequence

# Imports every module: one that needs what the distribution does not ask for fails. Test libraries are an extra.
IMPORT_ALL: Final = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    assert package.__file__.startswith(sys.prefix), package.__file__
    modules = [found.name for found in pkgutil.walk_packages(package.__path__, name + ".", onerror=lambda name: None)]
    modules = [module for module in modules if not module.startswith("conveyor.testing")]
    for module in modules:
        importlib.import_module(module)
    print(f"{sys.prefix}: {len(modules) + 1} modules of {name} imported")
"""


@frozen
class Use:
    """An environment in which one archive is installed, with what it asks for."""

    folder: Path
    packages: Sequence[str]
    wanted: Sequence[object]
    """What to install, with the options of uv."""
    has_demo: bool = False
    """Whether to show the demo, too."""

    def commands(self) -> list[tuple[Path, list[str]]]:
        """Return what a user would do first; nobody stands in the checkout."""
        python = python_of(self.folder)
        conveyor = str(python.with_name("conveyor"))
        commands = [
            [str(python), "-c", IMPORT_ALL, *self.packages],
            [conveyor, "version"],
            [conveyor, "plugins", "list", "--load"],
            [conveyor, "plugins", "doctor"],
        ]
        return [(self.folder, command) for command in commands]

    def demo(self) -> tuple[Path, list[str]]:
        """Return the command that shows the demo, which starts workers and kills one."""
        return self.folder, [str(python_of(self.folder).with_name("conveyor")), "demo", "--plain", "--limit", "30"]


def uses(folder: Path, out: Path, found: Sequence[Distribution]) -> list[Use]:
    """Return who installs what; a plugin asks for conveyor of this checkout, not of the index."""
    root, *plugins = found
    wheel = root.archive(out, ".whl")
    made = [
        Use(folder / "wheel", root.packages, [wheel], has_demo=True),
        Use(folder / "lowest", root.packages, ["--resolution", "lowest-direct", wheel], has_demo=True),
        Use(folder / "sdist", root.packages, [root.archive(out, ".tar.gz")]),
    ]
    made += [
        Use(folder / f"{plugin.name}{kind}", plugin.packages, [plugin.archive(out, kind), wheel])
        for plugin in plugins
        for kind in (".whl", ".tar.gz")
    ]
    return made


def complain(found: Sequence[Distribution], out: Path) -> None:
    """Print what is wrong with the archives, and exit if that was not expected."""
    is_expected = True
    for distribution in found:
        faults = distribution.faults(out)
        reason = UNFINISHED.get(distribution.name)
        print(*faults, sep="\n", end="\n" if faults else "")
        if reason is not None and faults:
            print(f"{distribution.name}: borne, because {reason}", flush=True)
        elif reason is not None:
            print(f"{distribution.name} is whole: take it out of UNFINISHED", flush=True)
        is_expected = is_expected and bool(faults) == (reason is not None)
    if not is_expected:
        sys.exit("failed: what the archives hold")


def main() -> int:
    """Do it all; return 0 if everything passed."""
    found = distributions()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        out = folder / "dist"
        with timed(f"{len(found)} distributions built"):
            run_all(build(distribution.folder, out) for distribution in found)
        complain(found, out)
        made = uses(folder, out, found)
        with timed(f"{len(made)} environments made"):
            run_all((folder, environment_command(use.folder)) for use in made)
            run_all((folder, install(use.folder, *use.wanted)) for use in made)
        with timed("used"):
            run_all(command for use in made for command in use.commands())
        with timed("demos shown"):
            run_all(use.demo() for use in made if use.has_demo)
    return 0


if __name__ == "__main__":
    sys.exit(main())
