"""What a seed decides before anything runs: the jobs, the workers, and which faults there will be."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LOCK_SECONDS", "MAX_STALLED", "Plan", "PlannedJob", "make_plan"]

LOCK_SECONDS: Final = 6.0
MAX_STALLED: Final = 5
# Faults end by then.
HORIZON_SECONDS: Final = 30.0


@frozen
class PlannedJob:
    """One job: when it is added, how often it fails or is put off, how long its handler takes."""

    id: str
    queue_name: str
    add_at: float
    seconds: float
    priority: int = 0
    attempts: int = 1
    failures: int = 0
    snoozes: int = 0
    delay_seconds: float = 0
    timeout_seconds: float | None = None
    backoff_seconds: float = 0
    cancel_at: float | None = None


@frozen
class Plan:
    """One simulated run.

    Attributes:
        flakiness: the share of store calls that fail, half of them after they took effect.
        slowness: the longest that an ordinary store call takes, in seconds.
        deafness: the share of notifications that are lost, and of those that come twice.
        freezes, kills, cuts, restarts, jumps: how many of each, at times of the nemesis' choice.
        is_calm: nothing is done to one worker that runs one job at a time: then order can be told exactly.
    """

    seed: int
    jobs: Sequence[PlannedJob]
    processes: int
    concurrency: int
    prefetch: int | str
    grace_seconds: float
    flakiness: float = 0
    slowness: float = 0
    deafness: float = 0
    freezes: int = 0
    kills: int = 0
    cuts: int = 0
    restarts: int = 0
    jumps: int = 0
    is_calm: bool = False


def make_plan(seed: int) -> Plan:
    """Draw a plan."""
    draw = Random(seed)
    if draw.random() < 0.1:
        return _calm(seed, draw)
    return Plan(
        seed,
        [_job(number, draw) for number in range(draw.randint(3, 12))],
        processes=draw.choice((1, 1, 2, 3)),
        concurrency=draw.choice((1, 2, 4)),
        prefetch=draw.choice(("auto", 0, 3)),
        grace_seconds=draw.choice((0.0, 0.5, 10.0)),
        flakiness=draw.choice((0, 0, 0.05, 0.25)),
        slowness=draw.choice((0, 0.01, 0.4)),
        deafness=draw.choice((0, 0.1, 0.9)),
        freezes=draw.choice((0, 0, 1, 2)),
        kills=draw.choice((0, 0, 1)),
        cuts=draw.choice((0, 1, 2, 3)),
        restarts=draw.choice((0, 1, 2)),
        jumps=draw.choice((0, 0, 0, 1)),
    )


def _job(number: int, draw: Random) -> PlannedJob:
    attempts = draw.choice((1, 2, 3))
    return PlannedJob(
        f"job-{number}",
        draw.choice(("left", "left", "right")),
        add_at=draw.choice((0.0, draw.uniform(0, HORIZON_SECONDS))),
        seconds=draw.choice((0.0, 0.05, draw.uniform(0, 2), draw.uniform(2, 15), draw.uniform(8, 25))),
        priority=draw.choice((0, 0, -1, 5)),
        attempts=attempts,
        failures=draw.choice((0, 0, 1, attempts)),
        snoozes=draw.choice((0, 0, 0, 1)),
        delay_seconds=draw.choice((0, 0, 0, draw.uniform(0.5, 10))),
        timeout_seconds=draw.choice((None, None, None, 1.0)),
        backoff_seconds=draw.choice((0, 0.5)),
        cancel_at=draw.choice((None, None, None, None, draw.uniform(0, HORIZON_SECONDS))),
    )


def _calm(seed: int, draw: Random) -> Plan:
    jobs = [
        PlannedJob(f"job-{number}", "left", 0.0, seconds=draw.choice((0.0, 0.1)), priority=draw.choice((0, 0, -1, 5)))
        for number in range(draw.randint(2, 30))
    ]
    return Plan(seed, jobs, 1, 1, draw.choice(("auto", 0, 3)), 10.0, slowness=draw.choice((0, 0.01)), is_calm=True)
