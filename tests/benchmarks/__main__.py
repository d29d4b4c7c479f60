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
    from collections.abc import Callable, Mapping

BACKENDS: Final = ("asyncio", "trio")


def main() -> None:
    """Measure in rounds, so that ours and the floors meet the same weather, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    arguments = parser.parse_args()
    figures: defaultdict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="conveyor-bench-") as folder:
        for number in range(arguments.rounds):
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
            _one_round(Path(folder) / str(number), arguments.jobs, figures)
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
        figures[f"floor memory process {backend}"].append(floors.memory_process(jobs, backend))
        for kind, url in (("memory", "memory://"), ("sqlite", f"sqlite:///{folder}/{backend}.db")):
            for key, value in _bench(url, backend, jobs).items():
                figures[f"{kind} {key} {backend}"].append(value)


def _bench(url: str, backend: str, jobs: int) -> Mapping[str, float]:
    command = [sys.executable, "-m", "conveyor", "bench", "--store", url, "--backend", backend]
    done = subprocess.run([*command, "--jobs", str(jobs), "-o", "json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    pickup: dict[str, float] = report["pickup_ms"]
    return {
        "process": report["process_per_second"],
        "process_cpu_us": report["cpu_us_per_job"],
        "add": report["add_per_second"],
        "add_concurrent": report["add_concurrent_per_second"],
        "add_many": report["add_many_per_second"],
        "pickup_p50_ms": pickup["p50"],
        "pickup_p99_ms": pickup["p99"],
    }


def _print_table(medians: Mapping[str, float]) -> None:
    print(f"{'figure':<34}{'asyncio':>12}{'trio':>12}{'floor':>12}{'share':>16}")
    for kind in ("memory", "sqlite"):
        for key in ("process", "process_cpu_us", "add", "add_concurrent", "add_many", "pickup_p50_ms", "pickup_p99_ms"):
            ours = [medians[f"{kind} {key} {backend}"] for backend in BACKENDS]
            floor = [_floor(medians, kind, key, backend) for backend in BACKENDS]
            shares = [f"{own / bare:.0%}" for own, bare in zip(ours, floor, strict=True) if bare]
            shown = f"{max(floor):,.0f}" if any(floor) else "-"
            figures = "".join(f"{value:>12,.2f}" if value < 1000 else f"{value:>12,.0f}" for value in ours)
            print(f"{kind + ' ' + key:<34}{figures}{shown:>12}{' / '.join(shares) or '-':>16}")


def _floor(medians: Mapping[str, float], kind: str, key: str, backend: str) -> float:
    return medians.get(f"floor {kind} {key} {backend}") or medians.get(f"floor {kind} {key}") or 0.0


if __name__ == "__main__":
    main()
