"""A look at a store: its depths, runs, buffers and workers, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conveyor._cli.opening import services_of
from conveyor._cli.workers import worker_record
from conveyor.errors import CapabilityError

if TYPE_CHECKING:
    from conveyor._app import Conveyor
    from conveyor.model.metrics import Histogram, Metrics, QueueDepth, RollUp

__all__ = ["look"]

_PERCENTILES: Final = (50, 95, 99)


async def look(app: Conveyor, window: str) -> dict[str, Any]:
    """Return what an open app's store tells of itself, and of the runs that ended in the window.

    Raises:
        ConfigurationError: the window is no duration longer than zero.
        CapabilityError: the store counts nothing.
    """
    metrics = await app.metrics(window=window)
    store = services_of(app).store
    return {
        "store": store.name,
        "at": metrics.at.isoformat(),
        "window_seconds": None if metrics.window is None else metrics.window.total_seconds(),
        "queues": [_queue(depth, metrics) for depth in metrics.depths],
        "jobs": [_job(roll_up) for roll_up in metrics.totals()],
        "buffers": await _buffers(app, metrics),
        "workers": [worker_record(session) for session in await app.workers()],
    }


async def _buffers(app: Conveyor, metrics: Metrics) -> list[dict[str, Any]]:
    try:
        sizes = await app.buffers.sizes()
    except CapabilityError:
        # A store without buffers has nothing in them.
        return []
    return [
        {
            "id": buffer_id,
            "jobs": size.jobs,
            "bytes": size.bytes,
            "oldest_seconds": max((metrics.at - size.oldest_at).total_seconds(), 0.0),
        }
        for buffer_id, size in sorted(sizes.items())
    ]


def _queue(depth: QueueDepth, metrics: Metrics) -> dict[str, Any]:
    oldest_at = depth.oldest_waiting_at
    return {
        "name": depth.queue_name,
        "counts": {state.value: count for state, count in depth.counts.items()},
        "oldest_waiting_seconds": None if oldest_at is None else max((metrics.at - oldest_at).total_seconds(), 0.0),
        **_runs(metrics.total(depth.queue_name)),
    }


def _job(roll_up: RollUp) -> dict[str, Any]:
    return {"queue": roll_up.queue_name, "name": roll_up.name, **_runs(roll_up)}


def _runs(roll_up: RollUp) -> dict[str, Any]:
    return {
        "outcomes": {outcome.value: count for outcome, count in roll_up.outcomes.items()},
        "wait_seconds": _times(roll_up.waits),
        "run_seconds": _times(roll_up.runs),
    }


def _times(histogram: Histogram) -> dict[str, float | None]:
    percentiles = {f"p{percent}": histogram.percentile(percent) for percent in _PERCENTILES}
    return {"mean": histogram.mean, **percentiles}
