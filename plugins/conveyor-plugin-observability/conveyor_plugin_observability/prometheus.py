"""What a store counts, as Prometheus reads it: the same whichever process is asked.

What was done with buffers is of the process that is asked.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from conveyor.errors import CapabilityError
from conveyor.model.metrics import bucket_of, upper_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from conveyor import Conveyor
    from conveyor.model.buffers.news import BufferCounts
    from conveyor.model.buffers.values import BufferSize
    from conveyor.model.metrics import Histogram, Metrics, RollUp
    from conveyor.model.sessions import SessionInfo

__all__ = ["Page", "metrics_page", "metrics_text", "render"]

# Each bound is twice the one before, from a millisecond to more than an hour: the store's own are four times as many.
_BOUNDS: Final = range(bucket_of(0.001), bucket_of(4096) + 1, bucket_of(0.002) - bucket_of(0.001))
_OF_A_HANDLER: Final = ("queue", "name")
NO_BUFFERS: Final[Mapping[str, BufferSize]] = MappingProxyType({})
NO_COUNTS: Final[Mapping[str, BufferCounts]] = MappingProxyType({})
# Each by the attribute of the counts that it tells.
_COUNTED: Final = {
    "collected": "Jobs that this process put into a buffer.",
    "reduced": "Jobs that flushes of this process took out of a buffer.",
    "merged": "Of these, jobs that went into others.",
    "added": "Jobs that flushes of this process added to queues.",
    "dead_letters": "Jobs that this process could not reduce, or not add, and keeps as failed ones.",
    "flushes": "Flushes of this process that ended well.",
    "failures": "How often reducing failed in this process.",
}


class Page(NamedTuple):
    """What to answer, and its content type."""

    body: bytes
    content_type: str


async def metrics_text(app: Conveyor) -> str:
    """Return the numbers of an open app's store in Prometheus' text format.

    Raises:
        CapabilityError: the store counts nothing.
        StoreError: it cannot be asked.
    """
    return (await metrics_page(app)).body.decode("utf-8")


async def metrics_page(app: Conveyor, accept: str = "") -> Page:
    """Return the same, or OpenMetrics where an ``Accept`` header asks for that.

    Raises:
        CapabilityError, StoreError: as `metrics_text` does.
    """
    # With no window, so that no counter is ever less than it was.
    metrics, workers = await app.metrics(window=None), await app.workers()
    buffers: Mapping[str, BufferSize] = {}
    with suppress(CapabilityError):  # a store without buffers has nothing in them
        buffers = await app.buffers.sizes()
    return render(metrics, workers, accept, buffers=buffers, counts=app.buffers.counts())


def render(
    metrics: Metrics,
    workers: Sequence[SessionInfo] = (),
    accept: str = "",
    *,
    buffers: Mapping[str, BufferSize] = NO_BUFFERS,
    counts: Mapping[str, BufferCounts] = NO_COUNTS,
) -> Page:
    """Write what was read."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Read(metrics, workers, buffers, counts))
    return Page(encode(registry), content_type)


class _Read(Collector):
    """Hands out what was read before: the library asks without awaiting."""

    def __init__(
        self,
        metrics: Metrics,
        workers: Sequence[SessionInfo],
        buffers: Mapping[str, BufferSize],
        counts: Mapping[str, BufferCounts],
    ) -> None:
        self._metrics = metrics
        self._workers = workers
        self._buffers = buffers
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        totals = self._metrics.totals()
        yield from _depths(self._metrics)
        yield from _fillings(self._buffers, self._metrics)
        yield from _done_with_buffers(self._counts)
        yield from _crew(self._workers, self._metrics)
        yield _runs(totals)
        yield _times("conveyor_wait_seconds", "From when jobs were due to when they were fetched.", totals, _waits)
        yield _times("conveyor_run_seconds", "From the start of handlers to their end.", totals, _run_times)

    def describe(self) -> Iterable[Metric]:
        return ()


def _depths(metrics: Metrics) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("conveyor_jobs", "Jobs that are not settled.", labels=("queue", "state"))
    oldest = GaugeMetricFamily(
        "conveyor_oldest_waiting_seconds", "Since when the oldest waiting job is due; 0: none waits.", labels=("queue",)
    )
    for depth in metrics.depths:
        for state, count in depth.counts.items():
            jobs.add_metric((depth.queue_name, str(state)), count)
        since = depth.oldest_waiting_at
        oldest.add_metric((depth.queue_name,), 0 if since is None else max(0, (metrics.at - since).total_seconds()))
    yield jobs
    yield oldest


def _fillings(buffers: Mapping[str, BufferSize], metrics: Metrics) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("conveyor_buffered_jobs", "Jobs that wait in a buffer.", labels=("buffer",))
    size = GaugeMetricFamily("conveyor_buffered_bytes", "Bytes of their arguments.", labels=("buffer",))
    oldest = GaugeMetricFamily(
        "conveyor_oldest_buffered_seconds", "For how long the oldest job has been in a buffer.", labels=("buffer",)
    )
    for buffer_id, filling in sorted(buffers.items()):
        jobs.add_metric((buffer_id,), filling.jobs)
        size.add_metric((buffer_id,), filling.bytes)
        oldest.add_metric((buffer_id,), max(0, (metrics.at - filling.oldest_at).total_seconds()))
    yield from (jobs, size, oldest)


def _done_with_buffers(counts: Mapping[str, BufferCounts]) -> Iterator[Metric]:
    for name, documentation in _COUNTED.items():
        family = CounterMetricFamily(f"conveyor_buffer_{name}", documentation, labels=("buffer",))
        for buffer_id, done in sorted(counts.items()):
            family.add_metric((buffer_id,), getattr(done, name))
        yield family


def _crew(workers: Sequence[SessionInfo], metrics: Metrics) -> Iterator[Metric]:
    lost = [worker for worker in workers if worker.is_lost(metrics.at)]
    alive = [worker for worker in workers if worker not in lost]
    serving = Counter(queue_name for worker in alive for queue_name in worker.queue_names)
    family = GaugeMetricFamily("conveyor_workers", "Workers that serve a queue.", labels=("queue",))
    # Also 0, for those that nobody serves: it is what one wants to be told.
    for queue_name in sorted({depth.queue_name for depth in metrics.depths} | set(serving)):
        family.add_metric((queue_name,), serving[queue_name])
    yield family
    yield GaugeMetricFamily("conveyor_lost_workers", "Workers that died or cannot reach the store.", len(lost))
    slots = sum(worker.concurrency for worker in alive)
    yield GaugeMetricFamily("conveyor_slots", "Jobs that all workers together may run at once.", slots)


def _runs(totals: Sequence[RollUp]) -> Metric:
    runs = CounterMetricFamily("conveyor_runs", "Runs that ended, by how they did.", labels=(*_OF_A_HANDLER, "outcome"))
    for total in totals:
        for outcome, count in total.outcomes.items():
            runs.add_metric((total.queue_name, total.name, str(outcome)), count)
    return runs


def _times(
    name: str, documentation: str, totals: Sequence[RollUp], choose: Callable[[RollUp], Histogram]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, documentation, labels=_OF_A_HANDLER)
    for total in totals:
        histogram = choose(total)
        buckets = [(_bound(upper_seconds(bound)), histogram.count_up_to(bound)) for bound in _BOUNDS]
        family.add_metric(
            (total.queue_name, total.name), [*buckets, ("+Inf", histogram.count)], histogram.total.total_seconds()
        )
    return family


def _bound(seconds: float) -> str:
    """Return a bound as labels have it: never in scientific notation, which would be another label.

    >>> _bound(0.001), _bound(1.024), _bound(4194.304)
    ('0.001', '1.024', '4194.304')
    """
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def _waits(total: RollUp) -> Histogram:
    return total.waits


def _run_times(total: RollUp) -> Histogram:
    return total.runs
