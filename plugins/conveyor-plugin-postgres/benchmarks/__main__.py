"""``python -m benchmarks URL``: conveyor and its floors in turn, medians and shares. The tables are emptied."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from benchmarks import floors, flushes, pairs, pickups

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
    for kind in pairs.KINDS:
        figures[f"pair {kind}"].append(pairs.measure(url, kind, jobs * 2))
    for backend in BACKENDS:
        command = ["-m", "conveyor", "bench", "--store", url, "--backend", backend, "--jobs", str(jobs), "-o", "json"]
        report: dict[str, Any] = json.loads(_run(command))
        for name, key in RATES.items():
            figures[f"{name} {backend}"].append(report[key])
        figures[f"cpu_us {backend}"].append(report["cpu_us_per_job"])
        for case in pickups.CASES:
            report = json.loads(_run(["-m", "benchmarks.pickups", url, backend, case]))
            for whose, share in product(("ours", "floor"), pickups.SHARES):
                figures[f"{case} {whose} p{share} {backend}"].append(report[whose][f"p{share}"])
        for whose, seconds in json.loads(_run(["-m", "benchmarks.flushes", url, backend])).items():
            figures[f"flush {whose} {backend}"].append(seconds)


def _run(command: Sequence[str]) -> str:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def _print_table(figures: Mapping[str, Sequence[float]]) -> None:
    medians = {name: statistics.median(values) for name, values in figures.items()}
    print(f"{'figure':<28}{'asyncio':>10}{'trio':>12}{'floor':>12}{'share':>14}")
    for name in RATES:
        _print_rate(name, [medians[f"{name} {backend}"] for backend in BACKENDS], medians[f"floor {name}"])
    for kind in floors.DRAINS:
        ours = [medians[f"pair {backend}"] for backend in BACKENDS]
        _print_rate(f"two processes, {kind}", ours, medians[f"pair {kind}"])
    for case, share in product(pickups.CASES, pickups.SHARES):
        both = [[medians[f"{case} {whose} p{share} {backend}"] for backend in BACKENDS] for whose in ("ours", "floor")]
        shown = [" / ".join(f"{milliseconds:.2f}" for milliseconds in each) for each in both]
        print(f"{f'pickup {case} p{share} ms':<28}{shown[0]:>22}{shown[1]:>26}")
    both = [[medians[f"flush {whose} {backend}"] for backend in BACKENDS] for whose in flushes.NAMES]
    shown = [" / ".join(f"{seconds:.2f}" for seconds in each) for each in both]
    print(f"{'flush 100 000 jobs s':<28}{shown[0]:>22}{shown[1]:>26}")
    print(f"{'client us per job':<28}{medians['cpu_us asyncio']:>10.1f}{medians['cpu_us trio']:>12.1f}")
    for kind in DRAINS:
        if f"drain {kind}" in medians:
            print(f"{f'drain {kind}':<28}{medians[f'drain {kind}']:>10,.0f}")


def _print_rate(name: str, ours: Sequence[float], floor: float) -> None:
    share = " / ".join(f"{own / floor:.0%}" for own in ours)
    print(f"{name:<28}{ours[0]:>10,.0f}{ours[1]:>12,.0f}{floor:>12,.0f}{share:>14}")


if __name__ == "__main__":
    main()
