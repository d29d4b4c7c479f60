"""Order, where it can be told exactly: one worker, one job at a time, and nothing done to it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from tests.simulation.plan import QUEUES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.simulation.history import History
    from tests.simulation.plan import Plan, PlannedJob

__all__ = ["wrong_order"]

# Jobs come whole, so a queue is ahead of its share, or behind, by up to one.
MOST_ASTRAY: Final = 1.0


def wrong_order(plan: Plan, history: History) -> list[str]:
    """Return what was not in order: within a queue, and between queues by their weights."""
    jobs = {job.id: job for job in plan.jobs}
    added = list(dict.fromkeys(event.job_id for event in history.events if event.kind == "added"))
    started = [event.job_id for event in history.events if event.kind == "started"]
    broken = []
    for queue_name in QUEUES:
        mine = [job_id for job_id in added if jobs[job_id].queue_name == queue_name]
        wanted = sorted(mine, key=lambda job_id: _place(jobs[job_id], added.index(job_id), plan))
        if plan.features is not None:
            groups = plan.features.limits[queue_name].group
            in_groups = [(jobs[job_id].group or "", job_id) for job_id in wanted]
            wanted = _in_turns(in_groups, {} if groups is None else groups.weights)
        done = [job_id for job_id in started if jobs[job_id].queue_name == queue_name]
        if done != wanted:
            broken.append(f"order: one worker ran {_words(done)}; it should have been {_words(wanted)}")
    # What is fetched ahead comes a queue at a time.
    if plan.prefetch == 0 and _most_astray(plan, [jobs[job_id].queue_name for job_id in started]) > MOST_ASTRAY:
        broken.append(f"weights: {dict(plan.weights)} does not make {_words([jobs[j].queue_name for j in started])}")
    return broken


def _place(job: PlannedJob, number: int, plan: Plan) -> tuple[int, bool, int]:
    is_newest_first = job.is_lifo or plan.is_lifo
    return (job.priority, not job.is_lifo, -number if is_newest_first else number)


def _in_turns(jobs: Sequence[tuple[str, str]], weights: Mapping[str, int]) -> list[str]:
    """Return the jobs as their groups take turns, all of which are there from the beginning; see `LimitStore`.

    None joins later, so the round itself changes nothing: who stands first moves on by a turn.
    """
    lines: dict[str, list[str]] = {}
    for group_id, job_id in jobs:
        lines.setdefault(group_id, []).append(job_id)
    stand = dict.fromkeys(lines, Fraction(0))
    taken = []
    while lines:
        group_id = min(lines, key=lambda one: (stand[one], one))
        taken.append(lines[group_id].pop(0))
        stand[group_id] += Fraction(1, weights.get(group_id, 1))
        if not lines[group_id]:
            del lines[group_id]
    return taken


def _most_astray(plan: Plan, queue_names: Sequence[str]) -> float:
    """Return by how many jobs a queue was ahead of its share at most, for as long as both had jobs."""
    left = {name: sum(job.queue_name == name for job in plan.jobs) for name in QUEUES}
    total = sum(plan.weights.values())
    done = dict.fromkeys(QUEUES, 0)
    most = 0.0
    for number, name in enumerate(queue_names, start=1):
        done[name] += 1
        left[name] -= 1
        most = max(most, *(abs(done[queue] - number * plan.weights[queue] / total) for queue in QUEUES))
        if not all(left.values()):
            break
    return most if len(set(queue_names)) > 1 else 0.0


def _words(words: Sequence[str]) -> str:
    return " ".join(words)
