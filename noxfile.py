"""The gates: one function each, run in the environment that ./dev made; `full` adds real ones of its own."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import nox
from nox.command import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable

nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["ci"]

# The tools are those beside the Python that runs nox, whether or not its environment is activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"

ROOT: Final = Path(__file__).parent
PYTHONS: Final = ["3.11", "3.12", "3.13"]


@nox.session
def lint(session: nox.Session) -> None:
    """Format and lint."""
    session.run("ruff", "format", "--check", ".", "dev")
    session.run("ruff", "check", ".", "dev")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy and basedpyright, and that every public name has a known type."""
    session.run("mypy")
    # Every example's file is called main, so each is a check of its own.
    for example in sorted((ROOT / "examples").glob("*/main.py")):
        session.run("mypy", str(example))
    session.run("basedpyright")
    session.run("basedpyright", "--verifytypes", "conveyor", "--ignoreexternal")


@nox.session
def layers(session: nox.Session) -> None:
    """Check what may import what."""
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.run("sphinx-build", "-nW", "--keep-going", "-qb", "html", "docs", "docs/_build/html")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; what follows -- goes to pytest."""
    session.run("pytest", *session.posargs)


class Part(NamedTuple):
    """One gate of `ci`, and the seconds it should stay within on two cores."""

    gate: Callable[[nox.Session], None]
    budget: int


# The tests come last, so that pytest's closing line stands right above the table.
PARTS: Final = {
    "lint": Part(lint, budget=5),
    "types": Part(types, budget=60),
    "layers": Part(layers, budget=5),
    "docs": Part(docs, budget=20),
    "tests": Part(tests, budget=420),
}


@nox.session
def ci(session: nox.Session) -> None:
    """Run every gate, also after one failed, and say what each took."""
    rows = []
    failed = []
    for name, part in PARTS.items():
        print(f"\n── {name} " + "─" * 60, flush=True)
        start = time.perf_counter()
        try:
            part.gate(session)
        except CommandFailed:
            failed.append(name)
        seconds = time.perf_counter() - start
        verdict = "FAILED" if name in failed else "over budget" if seconds > part.budget else "ok"
        rows.append(f"{name:<8}{seconds:>9.1f}{part.budget:>9}  {verdict}")
    print("\n".join(["", f"{'part':<8}{'seconds':>9}{'budget':>9}", *rows, ""]), flush=True)
    if failed:
        session.error(f"failed: {', '.join(failed)}")


@nox.session(venv_backend="virtualenv", python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Run the tests on every Python we support."""
    session.install("--quiet", "--upgrade", "pip")  # --group is understood by pip 25.1 and newer
    session.install("--quiet", "--editable", ".", "--group", "dev")
    session.run("pytest", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the sdist into dist/."""
    session.run("python", "-m", "build", "--outdir", "dist")


@nox.session(venv_backend="virtualenv")
def wheel(session: nox.Session) -> None:
    """Install the wheel alone, and use it as a user would: outside the checkout."""
    out = Path(session.create_tmp()).resolve()
    for old in out.glob("conveyor-*"):
        old.unlink()
    session.run(sys.executable, "-m", "build", "--outdir", str(out), external=True)
    (built,) = out.glob("*.whl")
    session.install("--quiet", str(built))
    session.chdir(out)
    session.run("conveyor", "version")
    session.run("conveyor", "demo", "--plain", "--limit", "30", "--files", str(ROOT / "conveyor"))


@nox.session
def full(session: nox.Session) -> None:
    """Run everything a release must pass."""
    session.notify("ci")
    for python in PYTHONS:
        session.notify(f"pythons-{python}")
    session.notify("wheel")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure conveyor beside its floors, in the same run; leave the machine alone meanwhile."""
    session.run("python", "-m", "tests.benchmarks", *session.posargs)
