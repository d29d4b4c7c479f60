"""``python -m benchmarks URL``: conveyor and its floors in turn, medians and shares. The tables are emptied."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from benchmarks import floors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BACKENDS: Final = ("asyncio", "trio")
RATES: Final = {
    "process": "process_per_second",
    "process_lean": "process_per_second",
    "add_concurrent": "add_concurrent_per_second",
    "add_many": "add_many_per_second",
}
DRAINS: Final = ("clean", "pinned", "waiting", "finished")
SAMPLES: Final = 100


def main() -> None:
    """Measure in rounds, so that ours and the floors meet the same weather, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--drain", type=int, default=200_000, help="jobs of each drain; 0: none")
    arguments = parser.parse_args()
    figures: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        _one_round(arguments.url, arguments.jobs, figures)
        for kind in DRAINS if arguments.drain else ():
            command = ["-m", "benchmarks.drains", arguments.url, kind, "--jobs", str(arguments.drain)]
            figures[f"drain {kind}"].append(float(_run(command)))
    _print_table(figures)


def _one_round(url: str, jobs: int, figures: defaultdict[str, list[float]]) -> None:
    for name in floors.FLOORS:
        figures[f"floor {name}"].append(floors.measure(url, name, jobs))
    figures["floor pickup"] += floors.measure_pickup(url, SAMPLES)
    for backend in BACKENDS:
        command = ["-m", "conveyor", "bench", "--store", url, "--backend", backend, "--jobs", str(jobs), "-o", "json"]
        report: dict[str, Any] = json.loads(_run(command))
        for name, key in RATES.items():
            figures[f"{name} {backend}"].append(report[key])
        figures[f"cpu_us {backend}"].append(report["cpu_us_per_job"])
        for share in (50, 99):
            figures[f"pickup_p{share}_ms {backend}"].append(report["pickup_ms"][f"p{share}"])


def _run(command: Sequence[str]) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def _print_table(figures: Mapping[str, Sequence[float]]) -> None:
    print(f"{'figure':<20}{'asyncio':>12}{'trio':>12}{'floor':>12}{'share':>14}")
    for name in RATES:
        ours = [statistics.median(figures[f"{name} {backend}"]) for backend in BACKENDS]
        floor = statistics.median(figures[f"floor {name}"])
        share = " / ".join(f"{own / floor:.0%}" for own in ours)
        print(f"{name:<20}{ours[0]:>12,.0f}{ours[1]:>12,.0f}{floor:>12,.0f}{share:>14}")
    bare = statistics.quantiles(figures["floor pickup"], n=100)
    for share_, floor in ((50, bare[49]), (99, bare[98])):
        ours = [statistics.median(figures[f"pickup_p{share_}_ms {backend}"]) for backend in BACKENDS]
        print(f"{f'pickup p{share_} ms':<20}{ours[0]:>12.2f}{ours[1]:>12.2f}{floor:>12.2f}")
    ours = [statistics.median(figures[f"cpu_us {backend}"]) for backend in BACKENDS]
    print(f"{'client us per job':<20}{ours[0]:>12.1f}{ours[1]:>12.1f}")
    for kind in DRAINS:
        if values := figures.get(f"drain {kind}"):
            print(f"{f'drain {kind}':<20}{statistics.median(values):>12,.0f}")


if __name__ == "__main__":
    main()
