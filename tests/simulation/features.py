"""What more a seed may decide: limits and groups, flows, schedules, and what is kept of jobs that have ended.

It draws from a generator of its own, so a seed without any of it does what it always did.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from conveyor.model.limits import GroupLimits, NameLimits, QueueLimits, RateLimit
from conveyor.model.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from tests.simulation.plan import PlannedJob

__all__ = ["Features", "LimitChange", "PlannedFlow", "PlannedSchedule", "with_features"]

GROUPS: Final = ("acme", "bolt", None)
HORIZON_SECONDS: Final = 20.0


@frozen
class LimitChange:
    """An operator gives a queue other limits."""

    at: float
    queue_name: str
    limits: QueueLimits


@frozen
class PlannedFlow:
    """Jobs that are added together, the root last; each pair is a parent and one of its children."""

    job_ids: Sequence[str]
    edges: Sequence[tuple[str, str]]
    add_at: float


@frozen
class PlannedSchedule:
    """A schedule that ends after some jobs, each of which takes so long."""

    id: str
    queue_name: str
    made_at: float
    every_seconds: int
    limit: int
    overlap: str
    missed: str
    seconds: float


@frozen
class Features:
    """What there is in one run beside plain jobs.

    Attributes:
        limits: of queues, from the beginning.
        changes: of those, later.
        retention: what is kept; None: the app's default.
    """

    limits: Mapping[str, QueueLimits]
    changes: Sequence[LimitChange] = ()
    flows: Sequence[PlannedFlow] = ()
    schedules: Sequence[PlannedSchedule] = ()
    retention: Retention | None = None


def with_features(
    jobs: Sequence[PlannedJob], queue_names: Sequence[str], draw: Random
) -> tuple[Sequence[PlannedJob], Features]:
    """Return the jobs as they are in a run with features, and those."""
    has_groups, has_limits, has_flows = draw.random() < 0.4, draw.random() < 0.6, draw.random() < 0.5
    jobs = [_job(job, draw, has_groups=has_groups) for job in jobs]
    limits = {name: _limits(draw) for name in queue_names if has_limits and draw.random() < 0.7}
    changes: list[LimitChange] = []
    if limits and draw.random() < 0.3:
        changes.append(LimitChange(draw.uniform(0, HORIZON_SECONDS), draw.choice(sorted(limits)), _limits(draw)))
    flows = _flows(jobs, draw) if has_flows else []
    schedules = [_schedule(number, queue_names, draw) for number in range(draw.choice((0, 0, 1, 2)))]
    retention = _retention(draw) if draw.random() < 0.4 else None
    in_flows = {job_id: flow.add_at for flow in flows for job_id in flow.job_ids}
    jobs = [evolve(job, add_at=in_flows.get(job.id, job.add_at)) for job in jobs]
    return jobs, Features(limits, changes, flows, schedules, retention)


def _job(job: PlannedJob, draw: Random, *, has_groups: bool) -> PlannedJob:
    return evolve(
        job,
        group=draw.choice(GROUPS) if has_groups else None,
        throttles=draw.choice((0, 0, 0, 1, 2)),
        # Jobs of limited queues run one after the other: none may take all the time there is.
        seconds=min(job.seconds, 6.0),
        keep_seconds=draw.choice((None, None, None, draw.uniform(1, 10))) if not job.is_removed else None,
        on_child_failure=draw.choice(("fail", "fail", "ignore", "remove")),
    )


def _limits(draw: Random) -> QueueLimits:
    kind = draw.choice(("concurrency", "rate", "bucket", "group", "group rate", "name", "mixed"))
    concurrency = draw.choice((1, 2, 3))
    limiter = RateLimit(draw.choice((1, 2, 3)), draw.choice((1, 2, 4)), draw.choice((None, "name", "group")))
    match kind:
        case "concurrency":
            return QueueLimits(concurrency)
        case "rate":
            return QueueLimits(limiter=limiter)
        case "bucket":
            return QueueLimits(limiter=evolve(limiter, burst=draw.choice((1, 3))))
        case "group":
            return QueueLimits(group=GroupLimits(concurrency, weights={"acme": draw.choice((1, 3))}))
        case "group rate":
            return QueueLimits(group=GroupLimits(limiter=evolve(limiter, key=None)))
        case "name":
            return QueueLimits(names={"work": NameLimits(concurrency, evolve(limiter, key=None))})
        case _:
            return QueueLimits(draw.choice((2, 3)), limiter, GroupLimits(concurrency))


def _flows(jobs: Sequence[PlannedJob], draw: Random) -> list[PlannedFlow]:
    """Return flows of jobs that are next to each other: all below the last, or each below the next, or one shared."""
    flows: list[PlannedFlow] = []
    left = [job.id for job in jobs]
    while len(left) > 2 and len(flows) < 2:
        size = draw.randint(2, min(5, len(left)))
        ids, left = left[:size], left[size:]
        form = draw.choice(("flat", "chain", "shared"))
        edges = [(ids[-1], child) for child in ids[:-1]]
        if form == "chain":
            edges = [(parent, child) for child, parent in pairwise(ids)]
        elif form == "shared" and size > 2:
            edges += [(parent, ids[0]) for parent in ids[1:-1]]
        flows.append(PlannedFlow(ids, edges, draw.uniform(0, HORIZON_SECONDS)))
    return flows


def _schedule(number: int, queue_names: Sequence[str], draw: Random) -> PlannedSchedule:
    overlap = draw.choice(("queue", "queue", "skip", "cancel"))
    return PlannedSchedule(
        f"tick-{number}",
        draw.choice(queue_names),
        draw.uniform(0, HORIZON_SECONDS),
        every_seconds=draw.choice((1, 3, 7)),
        limit=draw.choice((1, 3, 5)),
        overlap=overlap,
        # Several at once beside one that lets one be are refused.
        missed=draw.choice(("skip", "one", "all") if overlap == "queue" else ("skip", "one")),
        seconds=draw.choice((0.0, 0.5, 4.0)),
    )


def _retention(draw: Random) -> Retention:
    max_age = draw.choice((None, timedelta(seconds=draw.randint(2, 20))))
    return Retention(max_age=max_age, max_count=draw.choice((None, 1, 3)) if max_age else draw.choice((1, 3)))
