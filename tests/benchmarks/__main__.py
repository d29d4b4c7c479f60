"""``python -m tests.benchmarks``: conveyor and its floors in turn, medians and shares; it fails no build."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks import floors, floors_by_row

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
    "buffered": STORES,
    "idle_schedules": STORES,
    "fires": STORES,
    "batches": STORES,
    "limited": STORES,
    "watched": STORES,
    "rows": ("sqlite",),
    "rows_memory": ("sqlite",),
    "executors": STORES,
    "failing": STORES,
    "cancels": STORES,
    "cancels_across": ("sqlite",),
}
FLOORS: Final = ("floor", "best")
BACKLOGS: Final = ("waiting", "finished", "groups")
RATES: Final = (
    "process",
    "add",
    "add_concurrent",
    "add_many",
    "executor_loop",
    "executor_thread",
    "executor_process",
    "fires",
    "single",
    "batched",
    "rows_made",
    "rows_file",
)
SPANS: Final = (
    "process_cpu_us",
    "pickup_p50_ms",
    "pickup_p99_ms",
    "pickup_across_p50_ms",
    "pickup_across_p99_ms",
    "sleepers_s",
    "executor_loop_ms",
    "executor_thread_ms",
    "executor_process_ms",
    "executor_first_process_ms",
    "settle_completed_us",
    "settle_failed_us",
    "settle_grouped_us",
    "fingerprint_us",
    "idle_cpu_%",
    "flow_cpu_us",
    "flow_times_plain",
    "dedup_none_us",
    "dedup_new_us",
    "dedup_held_us",
    "dedup_single_none_us",
    "dedup_single_new_us",
    "dedup_single_held_us",
    "buffer_many_plain_cpu_us",
    "buffer_many_offered_cpu_us",
    "buffer_many_buffered_cpu_us",
    "buffer_single_plain_cpu_us",
    "buffer_single_offered_cpu_us",
    "buffer_single_buffered_cpu_us",
    "buffer_concurrent_plain_cpu_us",
    "buffer_concurrent_offered_cpu_us",
    "buffer_concurrent_buffered_cpu_us",
    "buffer_flush_s",
    "buffer_flush_cpu_s",
    "buffer_flush_mb",
    "idle_schedules_cpu_%",
    "limits_none_us",
    "limits_queue_us",
    "limits_groups_us",
    "watched_none_us",
    "watched_us",
    "events_read_us",
    "rows_memory_growth_mb",
    "cancel_p50_ms",
    "cancel_p99_ms",
    "cancel_across_p50_ms",
    "cancel_across_p99_ms",
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
    _measure_floors(folder, jobs, figures)
    for backend in BACKENDS:
        for case, kinds in CASES.items():
            for kind in kinds:
                for key, value in _case(case, kind, folder, backend).items():
                    figures[f"{kind} {key} {backend}"].append(value)
        figures[f"floor memory process {backend}"].append(floors.memory_process(jobs, backend))
        for kind, url in (("memory", "memory://"), ("sqlite", f"sqlite:///{folder}/{backend}.db")):
            for key, value in _bench(url, backend, jobs).items():
                figures[f"{kind} {key} {backend}"].append(value)


def _measure_floors(folder: Path, jobs: int, figures: defaultdict[str, list[float]]) -> None:
    for prefix, rooms in zip(FLOORS, (floors_by_row, floors), strict=True):
        measures: Mapping[str, Callable[[Path, int], float]] = {
            "process": rooms.sqlite_process,
            "add_many": rooms.sqlite_add_many,
            **{f"add_concurrent {it}": partial(rooms.sqlite_add_concurrent, backend=it) for it in BACKENDS},
        }
        for name, measure in measures.items():
            place = folder / f"{prefix}-{name}".replace(" ", "-")
            place.mkdir(parents=True)
            figures[f"{prefix} sqlite {name}"].append(measure(place, jobs))


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
    print(f"{'figure':<34}{'asyncio':>12}{'trio':>12}" + f"{'floor':>20}{'share':>16}{'best':>20}{'share':>16}")
    for kind in STORES:
        for key in (*RATES, *SPANS):
            ours = [medians.get(f"{kind} {key} {backend}", 0.0) for backend in BACKENDS]
            if any(ours):
                _print_row(medians, kind, key, ours)
    for name in sorted(name for name in medians if name.rpartition(" ")[2] not in BACKENDS and not _is_floor(name)):
        print(f"{name:<34}{_shown(medians[name]):>12}")


def _print_row(medians: Mapping[str, float], kind: str, key: str, ours: Sequence[float]) -> None:
    """Print ours, the floor that anybody would write, and the best that the store's own statements allow."""
    shown = f"{f'{kind} {key}':<34}{_shown(ours[0]):>12}{_shown(ours[1]):>12}"
    for prefix in FLOORS:
        floors = [_floor(medians, prefix, kind, key, backend) for backend in BACKENDS]
        # The share of the floor's speed: for spans of time, the other way round.
        shares = [bare and (own / bare if key in RATES else bare / own) for own, bare in zip(ours, floors, strict=True)]
        floor = " / ".join(_shown(bare) for bare in floors) if any(floors) else "-"
        share = " / ".join(f"{share:.0%}" for share in shares) if any(shares) else "-"
        shown += f"{floor:>20}{share:>16}"
    print(shown)


def _shown(value: float) -> str:
    return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"


def _is_floor(name: str) -> bool:
    return any(prefix in name for prefix in FLOORS)


def _floor(medians: Mapping[str, float], prefix: str, kind: str, key: str, backend: str) -> float:
    own = medians.get(f"{kind} {prefix} {key} {backend}") or medians.get(f"{prefix} {kind} {key} {backend}")
    return own or medians.get(f"{prefix} {kind} {key}") or 0.0


if __name__ == "__main__":
    main()
