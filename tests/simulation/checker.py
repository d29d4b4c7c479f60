"""The checker: reads a history, and says which promises were broken.

It follows every job through models of its own, from what the store noted as it happened, and lays beside it what
handlers did and what the nemesis did to their processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.excuses import Excuses
from tests.simulation.flow_rules import FlowRules
from tests.simulation.keeping import KeepingRules
from tests.simulation.limit_rules import LimitRules
from tests.simulation.order import wrong_order
from tests.simulation.runs import RunChecker
from tests.simulation.tick_rules import TickRules
from tests.simulation.waiting import WaitChecker
from tests.simulation.workers import WorkerChecker

if TYPE_CHECKING:
    from tests.simulation.history import Event, History
    from tests.simulation.plan import Plan

__all__ = ["check"]


def check(plan: Plan, history: History) -> list[str]:
    """Return the broken promises, one line each."""
    broken: list[str] = []

    def report(event: Event, sentence: str) -> None:
        broken.append(f"{event.at:.4f} {event.job_id} {event.process}: {sentence}")

    excuses = Excuses(history)
    runs = RunChecker(plan, history, excuses, report)
    limits = LimitRules(plan, history, report)
    ticks = TickRules(plan, runs.ended_as, report)
    keeping = KeepingRules(plan, history, report)
    others = (
        WorkerChecker(plan, excuses, report),
        # Before the limits: it judges what lasted until now.
        WaitChecker(plan, excuses, report, limits.room_since),
        limits,
        FlowRules(plan, report),
        ticks,
        keeping,
    )
    for event in history.events:
        runs.hear(event)
        for other in others:
            other.hear(event)
    for rules in (runs, ticks, keeping):
        rules.check_end(broken.append)
    if plan.is_calm:
        broken += wrong_order(plan, history)
    return broken
