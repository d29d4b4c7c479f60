"""The store of a run with features: limits, flows and schedules of the memory store, whose effects are noted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conveyor.model.schedules.values import TickOutcome, UpsertOutcome
from conveyor.model.states import JobState
from tests.simulation.plan import START
from tests.simulation.scheduler import process_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from conveyor._builtin.memory.store import MemoryStore
    from conveyor.model.limits import QueueLimits
    from conveyor.model.schedules.values import TickReport
    from tests.simulation.history import History
    from tests.simulation.truth import NotedWaiting

__all__ = ["NotedFlows", "NotedLimits", "NotedSchedules", "noted_features"]


def noted_features(store: MemoryStore, history: History, waiting: NotedWaiting) -> dict[str, Any]:
    """Return these facets by name."""
    return {
        "limits": NotedLimits(store, history),
        "flows": NotedFlows(store, history, waiting),
        "schedules": NotedSchedules(store, history, waiting),
    }


class NotedLimits:
    """The limits facet."""

    def __init__(self, store: MemoryStore, history: History) -> None:
        self._limits = store.limits
        self._history = history

    def __getattr__(self, name: str) -> Any:
        return getattr(self._limits, name)

    async def set_limits(self, queue_name: str, limits: QueueLimits, /) -> None:
        await self._limits.set_limits(queue_name, limits)
        self._history.note("limited", detail=f"{queue_name} {len(self._history.limits)}")
        self._history.limits.append(limits)


class NotedFlows:
    """The flows facet."""

    def __init__(self, store: MemoryStore, history: History, waiting: NotedWaiting) -> None:
        self._flows = store.flows
        self._tables = store.jobs._tables
        self._history = history
        self._waiting = waiting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flows, name)

    async def save_flow(self, plan: Any, /) -> Any:
        fresh = [job.id for job in plan.jobs if job.id not in self._tables.jobs]
        receipts = await self._flows.save_flow(plan)
        for job_id in fresh:
            if job_id in self._tables.jobs:
                self._history.note("added", job_id=job_id)
        self._waiting.note()
        return receipts

    async def repair_flows(self, *, limit: int = 1000) -> int:
        count = await self._flows.repair_flows(limit=limit)
        if count:
            self._history.note("repaired", detail=str(count))
        return count


class NotedSchedules:
    """The schedules facet."""

    def __init__(self, store: MemoryStore, history: History, waiting: NotedWaiting) -> None:
        self._schedules = store.schedules
        self._tables = store.jobs._tables
        self._history = history
        self._waiting = waiting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._schedules, name)

    async def upsert_schedules(self, specs: Sequence[Any], /, *, is_declared: bool = False) -> Any:
        receipts = await self._schedules.upsert_schedules(specs, is_declared=is_declared)
        for receipt in receipts:
            if receipt.outcome is not UpsertOutcome.UNCHANGED:
                anchor = _seconds(receipt.schedule.state.anchor_at)
                self._history.note("scheduled", detail=f"{receipt.schedule.id} {anchor:.6f}")
        return receipts

    async def fire_schedules(self, *, limit: int = 100) -> TickReport:
        jobs = [job for job in self._tables.jobs.values() if "@" in job.id and not job.state.is_settled]
        report = await self._schedules.fire_schedules(limit=limit)
        for job in jobs:
            if job.state is JobState.CANCELLED:
                self._history.note("cancelled", job_id=job.id)
        for tick in report.ticks:
            times = f"{_seconds(tick.tick_at):.6f} {_seconds(report.at):.6f}"
            self._history.note(
                "ticked", process_name.get(), tick.job_id, detail=f"{tick.schedule_id} {tick.outcome} {times}"
            )
        for tick in report.ticks:
            if tick.outcome is TickOutcome.FIRED:
                self._history.note("added", job_id=tick.job_id)
        self._waiting.note()
        return report


def _seconds(moment: datetime) -> float:
    return (moment - START).total_seconds()
