"""``python -m benchmarks URL``: conveyor and its floors in turn, medians and shares, on a NATS server with JetStream.

Streams of its own are made, and removed again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from benchmarks import floors

if TYPE_CHECKING:
    from collections.abc import Mapping

BACKENDS: Final = ("asyncio", "trio")
# What of ours stands beside which figure of the floors.
SHOWN: Final = {"add_many": "add", "add_concurrent": "add", "run": "run"}


def main() -> None:
    """Measure in rounds, so that ours and the floors meet the same weather, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    figures: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        for name in floors.FLOORS:
            added, ran = asyncio.run(floors.measure(arguments.url, name, arguments.jobs))
            figures[f"{name} add"].append(added)
            figures[f"{name} run"].append(ran)
        for backend in BACKENDS:
            for name, figure in _ours(arguments.url, backend, arguments.jobs).items():
                figures[f"{name} {backend}"].append(figure)
    _print_table({name: statistics.median(values) for name, values in figures.items()})


def _ours(url: str, backend: str, jobs: int) -> Mapping[str, float]:
    command = [sys.executable, "-m", "benchmarks.ours", url, backend, "--jobs", str(jobs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    figures: Mapping[str, float] = json.loads(done.stdout)
    return figures


def _print_table(medians: Mapping[str, float]) -> None:
    print(f"{'a second':<18}{'asyncio':>10}{'trio':>10}{'fenced':>10}{'share':>14}{'bare':>10}{'share':>14}")
    for name, kind in SHOWN.items():
        ours = [medians[f"{name} {backend}"] for backend in BACKENDS]
        line = f"{name:<18}" + "".join(f"{figure:>10,.0f}" for figure in ours)
        for floor in reversed(floors.FLOORS):
            best = medians[f"{floor} {kind}"]
            shares = " / ".join(f"{figure / best:.2f}" for figure in ours)
            line += f"{best:>10,.0f}{shares:>14}"
        print(line)
    print(f"{'cpu us per job':<18}" + "".join(f"{medians[f'cpu_us {backend}']:>10.0f}" for backend in BACKENDS))


if __name__ == "__main__":
    main()
