"""Replay one seed, or look for one that fails: ``python -m tests.simulation --seed 42 -v``, ``--count 10000``."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from tests.simulation.checker import check
from tests.simulation.plan import make_plan
from tests.simulation.world import simulate

CHUNK: Final = 25


def broken_promises(seed: int) -> list[str]:
    """Run a seed and return which promises it broke."""
    return check(*simulate(seed))


def main() -> int:
    """Return 1 where a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one only")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1000, help="how many seeds to run")
    parser.add_argument("--processes", type=int, default=1, help="how many processes run seeds at once")
    parser.add_argument("-v", "--verbose", action="store_true", help="print the history")
    given = parser.parse_args()
    if given.seed is not None:
        return replay(given.seed, is_verbose=given.verbose)
    return search(range(given.first, given.first + given.count), given.processes)


def replay(seed: int, *, is_verbose: bool) -> int:
    """Run one seed and tell what happened."""
    plan, history = simulate(seed)
    if is_verbose:
        print(make_plan(seed), history, sep="\n")
    broken = check(plan, history)
    print(f"seed {seed}:", "\n  ".join(broken) or "every promise was kept")
    return 1 if broken else 0


def search(seeds: range, processes: int) -> int:
    """Run many seeds; tell which failed, and how many run in a minute."""
    began = time.perf_counter()
    failed = 0
    starts = range(seeds.start, seeds.stop, CHUNK)
    with ProcessPoolExecutor(processes) as pool:
        for found in pool.map(_search_chunk, (seeds[start - seeds.start :][:CHUNK] for start in starts)):
            for seed, broken in found:
                failed += 1
                print(f"seed {seed}: {broken[0]}", flush=True)
    seconds = time.perf_counter() - began
    print(f"{len(seeds)} seeds, {failed} failed, {len(seeds) / seconds * 60:.0f} seeds a minute")
    return 1 if failed else 0


def _search_chunk(seeds: range) -> list[tuple[int, list[str]]]:
    # A sixth of the time went to looking for garbage in the middle of runs; between them is soon enough.
    gc.disable()
    found = [(seed, broken) for seed in seeds if (broken := broken_promises(seed))]
    gc.collect()
    return found


if __name__ == "__main__":
    sys.exit(main())
