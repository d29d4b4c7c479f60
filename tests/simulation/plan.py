"""What a seed decides before anything runs: jobs, workers, what operators do, and which faults there will be."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Final

from attrs import Factory, evolve, frozen

from conveyor.model.limits import GroupLimits, QueueLimits
from tests.simulation.features import Features, with_features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "LOCK_SECONDS",
    "MAX_STALLED",
    "POLL_SECONDS",
    "RETENTION_SECONDS",
    "START",
    "Deed",
    "JobsById",
    "Plan",
    "PlannedJob",
    "make_plan",
]

LOCK_SECONDS: Final = 6.0
MAX_STALLED: Final = 5
POLL_SECONDS: Final = 5.0
# When the store's clock begins.
START: Final = datetime(2030, 1, 1, tzinfo=UTC)
RETENTION_SECONDS: Final = 3.0
# Faults end by then.
HORIZON_SECONDS: Final = 30.0
QUEUES: Final = ("left", "right")
# So many seeds have more in them than plain jobs.
SHARE_OF_FEATURES: Final = 0.5


@frozen
class PlannedJob:
    """One job: when it is added, how often it fails or is put off, how long its handler takes.

    Attributes:
        hold_seconds: how long its handler still cleans up, shielded, once it was told to stop.
        is_stubborn: told to stop, its handler returns a value all the same.
        lines: how many lines its handler logs: the last as it ends, the others as it begins.
        expires_seconds: so long after it was added no run of it may begin.
        throttles: how often its handler meets a limit that conveyor does not know.
        keep_seconds: how long its record is kept at most once it completed.
    """

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
    hold_seconds: float = 0
    is_stubborn: bool = False
    lines: int = 0
    expires_seconds: float | None = None
    is_lifo: bool = False
    is_removed: bool = False
    name: str = "work"
    group: str | None = None
    throttles: int = 0
    keep_seconds: float | None = None
    on_child_failure: str = "fail"


@frozen
class Deed:
    """What an operator does once: cancel, rerun, promote or remove a job; pause or resume a queue or its job name."""

    at: float
    verb: str
    target: str
    job_name: str | None = None


@frozen
class Plan:
    """One simulated run.

    Attributes:
        flakiness: the share of store calls that fail, half of them after they took effect.
        slowness: the longest that an ordinary store call takes, in seconds.
        deafness: the share of notifications that are lost.
        echoes: the share of those that come twice, and once more as news of anything.
        freezes, blocks, kills, cuts, restarts, interrupts, jumps, forgets: how many of each, at times of the nemesis'
            choice: processes stand still; their loops do, and the thread renews; die; lose touch; stop; are cancelled;
            the store's clock is set; the store ends a living session.
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
    echoes: float = 0
    freezes: int = 0
    blocks: int = 0
    kills: int = 0
    cuts: int = 0
    restarts: int = 0
    interrupts: int = 0
    jumps: int = 0
    forgets: int = 0
    deeds: Sequence[Deed] = ()
    weights: Mapping[str, int] = Factory(lambda: dict.fromkeys(QUEUES, 1))
    is_lifo: bool = False
    is_calm: bool = False
    features: Features | None = None


class JobsById(dict[str, PlannedJob]):
    """The jobs of a plan by id, those that its schedules add among them."""

    def __init__(self, plan: Plan) -> None:
        super().__init__({job.id: job for job in plan.jobs})
        self._schedules = plan.features.schedules if plan.features is not None else ()

    def __missing__(self, job_id: str) -> PlannedJob:
        """Return the job of a tick."""
        schedule_id, is_tick, _ = job_id.partition("@")
        for schedule in self._schedules:
            if is_tick and schedule.id == schedule_id:
                return PlannedJob(job_id, schedule.queue_name, schedule.made_at, schedule.seconds, name="tick")
        raise KeyError(job_id)


def make_plan(seed: int) -> Plan:
    """Draw a plan."""
    plan = _make_plain_plan(seed)
    draw = Random(f"features {seed}")
    if draw.random() > SHARE_OF_FEATURES:
        return plan
    if plan.is_calm:
        return _with_groups(plan, draw)
    jobs, features = with_features(plan.jobs, QUEUES, draw)
    # The store's clock stands behind what rates allow and when ticks are due: a rule for each jump would be another.
    has_times = features.limits or features.schedules or features.retention
    return evolve(plan, jobs=jobs, features=features, jumps=0 if has_times else plan.jumps)


def _with_groups(plan: Plan, draw: Random) -> Plan:
    """Let the groups of both queues take turns, whose weights say how many."""
    jobs = [evolve(job, group=draw.choice(("acme", "bolt", None))) for job in plan.jobs]
    weights = {group: draw.choice((1, 2, 3)) for group in ("", "acme", "bolt")}
    limits = {name: QueueLimits(group=GroupLimits(weights=weights)) for name in QUEUES}
    return evolve(plan, jobs=jobs, features=Features(limits))


def _make_plain_plan(seed: int) -> Plan:
    draw = Random(seed)
    kind = draw.random()
    if kind < 0.1:
        return _calm(seed, draw)
    if kind < 0.18:
        return _busy(seed, draw)
    jobs = [_job(number, draw) for number in range(draw.randint(3, 12))]
    return Plan(
        seed,
        jobs,
        processes=draw.choice((1, 1, 2, 3)),
        concurrency=draw.choice((1, 2, 4)),
        prefetch=draw.choice(("auto", 0, 3)),
        grace_seconds=draw.choice((0.0, 0.5, 10.0)),
        flakiness=draw.choice((0, 0, 0.05, 0.25)),
        slowness=draw.choice((0, 0.01, 0.4)),
        deafness=draw.choice((0, 0, 0.1, 0.9)),
        echoes=draw.choice((0, 0, 0.3)),
        freezes=draw.choice((0, 0, 1, 2)),
        blocks=draw.choice((0, 0, 0, 1)),
        kills=draw.choice((0, 0, 1)),
        cuts=draw.choice((0, 0, 1, 2, 3)),
        restarts=draw.choice((0, 1, 2)),
        interrupts=draw.choice((0, 0, 1)),
        jumps=draw.choice((0, 0, 0, 1)),
        forgets=draw.choice((0, 0, 0, 1)),
        deeds=[_deed(jobs, draw) for _ in range(draw.choice((0, 0, 2, 6)))],
        weights={name: draw.choice((1, 1, 3)) for name in QUEUES},
        is_lifo=draw.random() < 0.2,
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
        hold_seconds=draw.choice((0, 0, 0, 0.3, draw.uniform(0, 9))),
        is_stubborn=draw.random() < 0.1,
        lines=draw.choice((0, 0, 2)),
        expires_seconds=draw.choice((None, None, None, None, None, draw.uniform(0.01, 20), draw.uniform(0.01, 0.8))),
        is_lifo=draw.random() < 0.1,
        is_removed=draw.random() < 0.1,
    )


def _deed(jobs: Sequence[PlannedJob], draw: Random) -> Deed:
    at = draw.uniform(0, HORIZON_SECONDS)
    verb = draw.choice(("cancel", "rerun", "rerun", "promote", "remove", "pause", "resume"))
    if verb in ("pause", "resume"):
        return Deed(at, verb, draw.choice(QUEUES), draw.choice((None, "work")))
    return Deed(at, verb, draw.choice(jobs).id)


def _busy(seed: int, draw: Random) -> Plan:
    """Draw many short jobs and a worker that has time, but does not hear of each."""
    jobs = [
        PlannedJob(
            f"job-{number}",
            "right" if draw.random() < 0.08 else "left",
            draw.uniform(0, HORIZON_SECONDS),
            seconds=draw.choice((0.0, 0.05)),
            delay_seconds=draw.choice((0, 0, 0.5)),
        )
        for number in range(draw.randint(20, 40))
    ]
    return Plan(seed, jobs, draw.choice((1, 2)), 2, draw.choice(("auto", 0, 3)), 10.0, deafness=draw.choice((0, 0.5)))


def _calm(seed: int, draw: Random) -> Plan:
    has_two = draw.random() < 0.7
    jobs = [
        PlannedJob(
            f"job-{number}",
            draw.choice(QUEUES) if has_two else "left",
            0.0,
            seconds=draw.choice((0.0, 0.1)),
            priority=draw.choice((0, 0, -1, 5)),
            is_lifo=draw.random() < 0.2,
        )
        for number in range(draw.randint(5, 40))
    ]
    return Plan(
        seed,
        jobs,
        1,
        1,
        draw.choice(("auto", 0, 0, 3)),
        10.0,
        slowness=draw.choice((0, 0.01)),
        weights={name: draw.choice((1, 2, 3)) for name in QUEUES},
        is_lifo=draw.random() < 0.3,
        is_calm=True,
    )
