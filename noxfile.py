"""The gates: one function each, run in the environment that ./dev made; `full` adds real ones of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple

import nox
from nox.command import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["ci"]

# The tools are those beside the Python that runs nox, whether or not its environment is activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
# Each lane, and each process that a test starts, compiles all that it imports unless the first of them may keep it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT: Final = Path(__file__).parent
POSTGRES: Final = "plugins/conveyor-plugin-postgres"
NATS: Final = "plugins/conveyor-plugin-nats"
OBSERVABILITY: Final = "plugins/conveyor-plugin-observability"
PYTHONS: Final = ["3.11", "3.12", "3.13"]
# Which tests read CONVEYOR_FULL.
FAULTS: Final = [
    "tests/conformance",
    "tests/sqlite/test_kill_at_every_statement.py",
    "tests/end_to_end/test_killed_imports.py",
]
POSTGRES_FAULTS: Final = ["tests/test_killed_imports.py", "tests/test_buffer_storage.py"]


@nox.session
def lint(session: nox.Session) -> None:
    """Format and lint."""
    session.run("ruff", "format", "--check", ".", "dev")
    session.run("ruff", "check", ".", "dev")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy and basedpyright, that every public name has one, and what users see of them."""
    session.run("mypy")
    session.run("mypy", f"{NATS}/tests")
    session.run("mypy", f"{NATS}/benchmarks")
    # Every example's file is called main, so each is a check of its own.
    for example in sorted([*ROOT.glob("examples/*/main.py"), *ROOT.glob("plugins/*/examples/*.py")]):
        session.run("mypy", str(example))
    session.run("basedpyright")
    session.run("basedpyright", "--verifytypes", "conveyor", "--ignoreexternal")
    session.run("python", "-m", "tests.typing")


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


@nox.session
def postgres(session: nox.Session) -> None:
    """Run the PostgreSQL store's tests, on a server of their own; what follows -- goes to pytest."""
    with session.chdir(POSTGRES):
        session.run("pytest", *session.posargs)


@nox.session
def nats(session: nox.Session) -> None:
    """Run the NATS job queue's tests, on servers of their own; what follows -- goes to pytest."""
    with session.chdir(NATS):
        session.run("pytest", *session.posargs)


@nox.session
def observability(session: nox.Session) -> None:
    """Run the tests of the plugin for OpenTelemetry and Prometheus; what follows -- goes to pytest."""
    with session.chdir(OBSERVABILITY):
        session.run("pytest", *session.posargs)


@nox.session
def plugins(session: nox.Session) -> None:
    """Build what `conveyor plugins new` writes, install it from wheels in a fresh environment, run its tests."""
    session.run("python", "-m", "tests.plugins")


@nox.session
def packages(session: nox.Session) -> None:
    """Build a wheel and an sdist of every distribution, read them, and use each where it alone is installed."""
    session.run("python", "-m", "tests.packages")


@nox.session(venv_backend="uv", python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Run the tests on every Python we support; the rules of the house read the plugins, too."""
    plugins = [part for folder in sorted(ROOT.glob("plugins/*/")) for part in ("--editable", str(folder))]
    session.install("--no-sources", "--editable", ".", *plugins, "--group", "dev")
    session.run("pytest", *session.posargs)
    if not session.posargs:
        observability(session)


@nox.session(venv_backend="uv", python=PYTHONS[1:])
def postgres_pythons(session: nox.Session) -> None:
    """Run the PostgreSQL store's tests on every other Python we support."""
    session.install(
        "--no-sources", "--editable", ".", "--editable", f"./{POSTGRES}", "--group", "tests", "--group", "postgres"
    )
    with session.chdir(POSTGRES):
        session.run("pytest", *session.posargs)


@nox.session(venv_backend="uv", python=PYTHONS[1:])
def nats_pythons(session: nox.Session) -> None:
    """Run the NATS job queue's tests on every other Python we support, and those that CI has no time for."""
    session.install("--no-sources", "--editable", ".", "--editable", f"./{NATS}", "--group", "tests", "--group", "nats")
    with session.chdir(NATS):
        session.run("pytest", *session.posargs, env={"CONVEYOR_FULL": "1"})


@nox.session(venv_backend="uv", python=PYTHONS[0])
def minimal(session: nox.Session) -> None:
    """Run the tests on the lowest versions that pyproject.toml allows; the house rules read files only."""
    session.install("--resolution", "lowest-direct", "--editable", ".[dev,testing]", "--group", "tests")
    session.run("pytest", *(session.posargs or ["tests", "--ignore=tests/house"]))


@nox.session
def faults(session: nox.Session) -> None:
    """Let every call of a store fail in turn, and kill a process at every SQL statement and within batch jobs."""
    session.run("pytest", *FAULTS, env={"CONVEYOR_FULL": "1"})
    with session.chdir(POSTGRES):
        session.run("pytest", *POSTGRES_FAULTS, env={"CONVEYOR_FULL": "1"})


@nox.session
def memory(session: nox.Session) -> None:
    """Let batch jobs of a million rows take no more memory than those of some thousand."""
    session.run("pytest", "tests/end_to_end/test_memory.py", env={"CONVEYOR_FULL": "1"})
    with session.chdir(POSTGRES):
        session.run("pytest", "tests/test_memory.py", env={"CONVEYOR_FULL": "1"})


@nox.session
def plans(session: nox.Session) -> None:
    """Look at the plans of the PostgreSQL store's statements with a million jobs, too."""
    with session.chdir(POSTGRES):
        session.run("pytest", "tests/test_query_plans.py", env={"CONVEYOR_FULL": "1"})


@nox.session
def pooler(session: nox.Session) -> None:
    """Run the whole conformance kit on the PostgreSQL store behind PgBouncer, which must be installed."""
    with session.chdir(POSTGRES):
        session.run("pytest", "tests/test_pooler_kit.py", *session.posargs, env={"CONVEYOR_FULL": "1"})


@nox.session
def simulation(session: nox.Session) -> None:
    """Run workers from many seeds."""
    session.run("python", "-m", "tests.simulation", *(session.posargs or ["--count", "20000", "--processes", "2"]))


@nox.session
def chaos(session: nox.Session) -> None:
    """Kill workers and servers under the PostgreSQL store for ten minutes."""
    with session.chdir(POSTGRES):
        session.run("pytest", "-s", "tests/test_chaos.py", env={"CONVEYOR_CHAOS_SECONDS": "600"})


class Lane(NamedTuple):
    """Tests that run beside others."""

    name: str
    folder: Path
    arguments: Sequence[str] = ()


# Folders of tests/ that are lanes of their own, so that each lane takes about as long: `nox -s costs` says what each
# folder takes.
APP: Final = ("tests/app", "tests/job_queues")
STORES: Final = ("tests/conformance", "tests/model", "tests/runtime", "tests/simulation", "tests/sqlite")
POSTGRES_KIT: Final = "tests/test_conformance.py"
# Each waits more than it works, so on two cores they take less together than one after another. They share nothing:
# each has servers, files and an event loop of its own. The longest counts, so PostgreSQL's kit is two: what has "trio"
# in its name, and all else.
LANES: Final = (
    Lane("tests", ROOT, [f"--ignore={folder}" for folder in (*APP, *STORES)]),
    Lane("app", ROOT, APP),
    Lane("stores", ROOT, STORES),
    Lane("postgres", ROOT / POSTGRES, (f"--ignore={POSTGRES_KIT}",)),
    Lane("postgres-kit", ROOT / POSTGRES, (POSTGRES_KIT, "-k", "not trio")),
    Lane("postgres-kit-trio", ROOT / POSTGRES, (POSTGRES_KIT, "-k", "trio")),
    Lane("nats", ROOT / NATS),
    Lane("observability", ROOT / OBSERVABILITY),
)


def all_tests(_: nox.Session) -> None:
    """Run the tests of every lane, all at the same time; show one after the other."""
    with ExitStack() as stack:
        beside = [start_hidden(stack, lane) for lane in LANES[1:]]
        codes = {LANES[0].name: run_shown(LANES[0])}
        for lane, running, log in beside:
            codes[lane.name] = running.wait()
            log.seek(0)
            print(f"\n── {lane.name} {'─' * 60}\n{log.read()}", flush=True)
    if failed := [f"{name}: exit code {code}" for name, code in codes.items() if code]:
        raise CommandFailed("; ".join(failed))


def pytest_of(lane: Lane) -> list[str]:
    """Return the command that runs the tests of a lane."""
    return [sys.executable, "-m", "pytest", *lane.arguments]


def run_shown(lane: Lane) -> int:
    """Run the tests of a lane, which say themselves how they go on; return the exit code."""
    return subprocess.run(pytest_of(lane), cwd=lane.folder, check=False).returncode


def start_hidden(stack: ExitStack, lane: Lane) -> tuple[Lane, subprocess.Popen[bytes], IO[str]]:
    """Start the tests of a lane, and return it with where they write what they say."""
    log = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))  # noqa: SIM115 - the stack closes it
    return lane, subprocess.Popen(pytest_of(lane), cwd=lane.folder, stdout=log, stderr=subprocess.STDOUT), log


@nox.session
def costs(session: nox.Session) -> None:
    """Run the tests of a lane and say which of them take the most CPU: `nox -s costs -- postgres-kit`."""
    lanes = {lane.name: lane for lane in LANES}
    name = session.posargs[0] if session.posargs else LANES[0].name
    if name not in lanes:
        session.error(f"no such lane: {name}; there are {', '.join(lanes)}")
    with session.chdir(lanes[name].folder):
        arguments = [*lanes[name].arguments, *session.posargs[1:]]
        session.run("python", "-m", "pytest", "-p", "tests.costs", *arguments, env={"PYTHONPATH": str(ROOT)})


class Part(NamedTuple):
    """One gate of `ci` or of `full`, and the seconds it should stay within on two cores.

    Those that are beside run one after another while the parts before them do, each of which keeps one core busy.
    """

    gate: Callable[[nox.Session], None]
    budget: int
    is_beside: bool = False


# The tests come last, so that what they say stands right above the table.
PARTS: Final = {
    "lint": Part(lint, budget=5),
    "types": Part(types, budget=75),
    "layers": Part(layers, budget=5),
    "docs": Part(docs, budget=60, is_beside=True),
    "plugins": Part(plugins, budget=60, is_beside=True),
    "packages": Part(packages, budget=60, is_beside=True),
    "tests": Part(all_tests, budget=690),
}


@nox.session
def ci(session: nox.Session) -> None:
    """Run every gate, also after one failed, and say what each took; what follows -- names the gates to run."""
    run_parts(session, chosen(session, PARTS))


def chosen(session: nox.Session, parts: Mapping[str, Part]) -> Mapping[str, Part]:
    """Return the parts that were asked for by name: all, if none was."""
    if unknown := [name for name in session.posargs if name not in parts]:
        session.error(f"no such part: {', '.join(unknown)}; there are {', '.join(parts)}")
    return {name: parts[name] for name in session.posargs or parts}


def run_parts(session: nox.Session, parts: Mapping[str, Part]) -> None:
    """Run parts, those beside while the others run, and print a table of them; fail at its end if one failed."""
    rows = []
    failed = []
    began = time.perf_counter()
    with ThreadPoolExecutor(1) as thread:
        beside = {name: thread.submit(run_beside, name) for name, part in parts.items() if part.is_beside}
        for name, part in parts.items():
            print(f"\n── {name} " + "─" * 60, flush=True)
            seconds, is_passed = show(beside[name].result()) if name in beside else run_part(session, part)
            failed += [] if is_passed else [name]
            verdict = "FAILED" if name in failed else "over budget" if seconds > part.budget else "ok"
            rows.append((name, seconds, part.budget, verdict))
    total = time.perf_counter() - began
    rows.append(("all", total, sum(row[2] for row in rows), "FAILED" if failed else ""))
    table = [f"{name:<12}{seconds:>9.1f}{budget:>9}  {verdict}".rstrip() for name, seconds, budget, verdict in rows]
    print("\n".join(["", f"{'part':<12}{'seconds':>9}{'budget':>9}", *table, ""]), flush=True)
    if failed:
        session.error(f"failed: {', '.join(failed)}")


def run_part(session: nox.Session, part: Part) -> tuple[float, bool]:
    """Run a part, and return its seconds and whether it passed."""
    began = time.perf_counter()
    try:
        part.gate(session)
    except CommandFailed:
        return time.perf_counter() - began, False
    return time.perf_counter() - began, True


class Ran(NamedTuple):
    """What became of a part that ran beside others."""

    seconds: float
    is_passed: bool
    said: str


def run_beside(name: str) -> Ran:
    """Run the part that is the session of this name, in a process of its own that says nothing yet."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), "--session", name]
    done = subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return Ran(time.perf_counter() - began, done.returncode == 0, done.stdout)


def show(ran: Ran) -> tuple[float, bool]:
    """Show what a part said that ran beside others; return its seconds and whether it passed."""
    print(ran.said, flush=True)
    return ran.seconds, ran.is_passed


def nested(name: str) -> Callable[[nox.Session], None]:
    """Return a gate that is a session by itself: with an environment of its own, or with arguments of its own."""

    def run_nox(session: nox.Session) -> None:
        session.run("nox", "--noxfile", str(ROOT / "noxfile.py"), "--session", name)

    return run_nox


# What takes longer than a change can wait.
LONG_PARTS: Final = {
    "ci": Part(nested("ci"), budget=15 * 60),
    **{f"pythons-{python}": Part(nested(f"pythons-{python}"), budget=10 * 60) for python in PYTHONS},
    **{f"postgres-{python}": Part(nested(f"postgres_pythons-{python}"), budget=15 * 60) for python in PYTHONS[1:]},
    **{f"nats-{python}": Part(nested(f"nats_pythons-{python}"), budget=5 * 60) for python in PYTHONS[1:]},
    "plans": Part(plans, budget=10 * 60),
    "pooler": Part(nested("pooler"), budget=30 * 60),
    "minimal": Part(nested("minimal"), budget=10 * 60),
    "faults": Part(faults, budget=20 * 60),
    "memory": Part(memory, budget=30 * 60),
    "simulation": Part(nested("simulation"), budget=45 * 60),
    "chaos": Part(chaos, budget=15 * 60),
}


@nox.session
def full(session: nox.Session) -> None:
    """Run everything a release must pass; what follows -- names the parts to run, to go on where a run ended."""
    run_parts(session, chosen(session, LONG_PARTS))


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the sdist of every distribution into dist/."""
    for settings in (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))):
        session.run("python", "-m", "build", "--outdir", str(ROOT / "dist"), str(settings.parent))


@nox.session
def bench(session: nox.Session) -> None:
    """Measure conveyor beside its floors, in the same run; leave the machine alone meanwhile."""
    session.run("python", "-m", "tests.benchmarks", *session.posargs)
