"""``python -m tests.benchmarks``: conveyor and its floors in turn, medians and shares; it fails no build."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks import floors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BACKENDS: Final = ("asyncio", "trio")
STORES: Final = ("memory", "sqlite")
CASES: Final = {
    "pickup": STORES,
    "pickup_across": ("sqlite",),
    "sleepers": STORES,
    "idle": STORES,
    "flow": STORES,
    "deduplicated": STORES,
    "idle_schedules": STORES,
    "fires": STORES,
    "batches": STORES,
    "limited": STORES,
}
BACKLOGS: Final = ("waiting", "finished")
RATES: Final = ("process", "add", "add_concurrent", "add_many", "fires", "single", "batched")
SPANS: Final = (
    "process_cpu_us",
    "pickup_p50_ms",
    "pickup_p99_ms",
    "pickup_across_p50_ms",
    "pickup_across_p99_ms",
    "sleepers_s",
    "idle_cpu_%",
    "flow_cpu_us",
    "flow_times_plain",
    "dedup_none_us",
    "dedup_new_us",
    "dedup_held_us",
    "idle_schedules_cpu_%",
    "limits_none_us",
    "limits_queue_us",
    "limits_groups_us",
)


def main() -> None:
    """Measure in rounds, so that ours and the floors meet the same weather, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-backlog", action="store_true", help="leave out the million jobs, which take minutes")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    arguments = parser.parse_args()
    figures: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="conveyor-bench-") as folder:
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
            _one_round(Path(folder) / str(number), arguments.jobs, figures)
        if not arguments.no_backlog:
            _measure_backlogs(Path(folder), figures)
    medians = {name: statistics.median(values) for name, values in figures.items()}
    if arguments.output == "json":
        print(json.dumps(medians, indent=2))
    else:
        _print_table(medians)


def _one_round(folder: Path, jobs: int, figures: defaultdict[str, list[float]]) -> None:
    measures: Mapping[str, Callable[[Path], float]] = {
        "floor sqlite process": lambda place: floors.sqlite_process(place, jobs),
        "floor sqlite add_many": lambda place: floors.sqlite_add_many(place, jobs),
        "floor sqlite add_concurrent asyncio": lambda place: floors.sqlite_add_concurrent(place, jobs, "asyncio"),
        "floor sqlite add_concurrent trio": lambda place: floors.sqlite_add_concurrent(place, jobs, "trio"),
    }
    for name, measure in measures.items():
        place = folder / name.replace(" ", "-")
        place.mkdir(parents=True)
        figures[name].append(measure(place))
    for backend in BACKENDS:
        for case, kinds in CASES.items():
            for kind in kinds:
                for key, value in _case(case, kind, folder, backend).items():
                    figures[f"{kind} {key} {backend}"].append(value)
        figures[f"floor memory process {backend}"].append(floors.memory_process(jobs, backend))
        for kind, url in (("memory", "memory://"), ("sqlite", f"sqlite:///{folder}/{backend}.db")):
            for key, value in _bench(url, backend, jobs).items():
                figures[f"{kind} {key} {backend}"].append(value)


def _bench(url: str, backend: str, jobs: int) -> Mapping[str, float]:
    command = ["-m", "conveyor", "bench", "--store", url, "--backend", backend, "--jobs", str(jobs), "-o", "json"]
    report: dict[str, Any] = _run(command)
    return {
        "process": report["process_per_second"],
        "process_cpu_us": report["cpu_us_per_job"],
        "add": report["add_per_second"],
        "add_concurrent": report["add_concurrent_per_second"],
        "add_many": report["add_many_per_second"],
    }


def _measure_backlogs(folder: Path, figures: defaultdict[str, list[float]]) -> None:
    """Once, and on one backend: it takes minutes, and is about the stores alone."""
    for case in BACKLOGS:
        for kind in STORES:
            print(f"{kind} store, {case} jobs", file=sys.stderr)
            for key, value in _case(case, kind, folder / case, BACKENDS[0]).items():
                figures[f"{kind} {key}"].append(value)


def _case(case: str, kind: str, folder: Path, backend: str) -> Mapping[str, float]:
    folder.mkdir(parents=True, exist_ok=True)
    url = "memory://" if kind == "memory" else f"sqlite:///{folder}/{case}-{backend}.db"
    figures: dict[str, float] = _run(["-m", "tests.benchmarks.cases", case, url, backend])
    # The floors of cases are made of SQLite and its disk.
    return {key: value for key, value in figures.items() if kind == "sqlite" or not key.startswith("floor")}


def _run(command: Sequence[str]) -> Any:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def _print_table(medians: Mapping[str, float]) -> None:
    print(f"{'figure':<34}{'asyncio':>12}{'trio':>12}{'floor':>20}{'share':>16}")
    for kind in STORES:
        for key in (*RATES, *SPANS):
            ours = [medians.get(f"{kind} {key} {backend}", 0.0) for backend in BACKENDS]
            if any(ours):
                _print_row(f"{kind} {key}", ours, [_floor(medians, kind, key, backend) for backend in BACKENDS])
    for name in sorted(name for name in medians if name.rpartition(" ")[2] not in BACKENDS and "floor" not in name):
        print(f"{name:<34}{_shown(medians[name]):>12}")


def _print_row(name: str, ours: Sequence[float], floors: Sequence[float]) -> None:
    # The share of the floor's speed: for spans of time, the other way round.
    is_rate = name.rpartition(" ")[2] in RATES
    shares = [bare and (own / bare if is_rate else bare / own) for own, bare in zip(ours, floors, strict=True)]
    floor = " / ".join(_shown(bare) for bare in floors) if any(floors) else "-"
    share = " / ".join(f"{share:.0%}" for share in shares) if any(shares) else "-"
    print(f"{name:<34}{_shown(ours[0]):>12}{_shown(ours[1]):>12}{floor:>20}{share:>16}")


def _shown(value: float) -> str:
    return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"


def _floor(medians: Mapping[str, float], kind: str, key: str, backend: str) -> float:
    own = medians.get(f"{kind} floor {key} {backend}") or medians.get(f"floor {kind} {key} {backend}")
    return own or medians.get(f"floor {kind} {key}") or 0.0


if __name__ == "__main__":
    main()
