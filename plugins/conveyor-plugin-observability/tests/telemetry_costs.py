"""``python tests/telemetry_costs.py URL BACKEND``: what telling OpenTelemetry of adds and runs costs.

In microseconds of the processor per job, all threads of this process together. Apps with the middleware and one without
take turns. The SDK's exporter throws away what it is given: what a real one sends comes on top.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from conveyor_plugin_observability import OpenTelemetry, metrics_text
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import Link, SpanContext, SpanKind

from conveyor import Conveyor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from conveyor import Middleware

__all__ = ["measure_telemetry"]

JOBS: Final = 1000
CALLERS: Final = 50
SLOTS: Final = 50
SAMPLED: Final = 0.01
SCRAPES: Final = 20
# No span is dropped before it is exported.
LARGE_ENOUGH: Final = 100 * JOBS
# As many as a run has: of its span, and of its time.
ATTRIBUTES: Final = 7
LABELS: Final = 5


class Dropping(SpanExporter):
    """Throws spans away."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Be done with them."""
        del spans
        return SpanExportResult.SUCCESS


class Costs:
    """One app, and what its jobs cost."""

    def __init__(self, url: str, kind: str, middleware: Sequence[Middleware]) -> None:
        self.app = Conveyor(url, middleware=middleware)
        self._queue_name = kind
        self._left = 0
        self._over = anyio.Event()

        @self.app.queue(kind).job("nothing")
        async def nothing(number: int) -> None:
            del number
            self._left -= 1
            if not self._left:
                self._over.set()

        self._handler: Any = nothing

    async def measure(self) -> Mapping[str, float]:
        """Add jobs in bulk, and by many callers, and run them all."""
        jobs = [self._handler.new(number) for number in range(JOBS)]
        self._left, self._over = 2 * JOBS, anyio.Event()
        return {
            "bulk": await _cost(partial(self._handler.add_many, jobs), JOBS),
            "callers": await _cost(self._by_callers, JOBS),
            "run": await _cost(self._run, 2 * JOBS),
        }

    async def _by_callers(self) -> None:
        async with anyio.create_task_group() as tasks:
            for caller in range(CALLERS):
                tasks.start_soon(self._call, range(caller, JOBS, CALLERS))

    async def _call(self, numbers: range) -> None:
        for number in numbers:
            await self._handler.add(number)

    async def _run(self) -> None:
        async with self.app.worker(self._queue_name, concurrency=SLOTS):
            await self._over.wait()


async def _cost(call: Callable[[], Awaitable[object]], jobs: int) -> float:
    gc.collect()
    gc.disable()
    try:
        begun = time.process_time()
        await call()
        return (time.process_time() - begun) / jobs * 1e6
    finally:
        gc.enable()


def _bare_span(provider: TracerProvider) -> float:
    """Return what a span costs by itself that is told as much as that of a run."""
    tracer, link = provider.get_tracer("bare"), Link(SpanContext(1, 1, is_remote=True))
    known = {f"conveyor.attribute.{number}": "value" for number in range(ATTRIBUTES)}
    begun = time.process_time()
    for _ in range(JOBS):
        with tracer.start_as_current_span("run", kind=SpanKind.CONSUMER, attributes=known, links=(link,)) as span:
            span.set_attribute("conveyor.job.outcome", "completed")
    return (time.process_time() - begun) / JOBS * 1e6


def _bare_record(provider: MeterProvider) -> float:
    """Return what it costs to measure a time."""
    histogram = provider.get_meter("bare").create_histogram("bare")
    known = {f"conveyor.attribute.{number}": "value" for number in range(LABELS)}
    begun = time.process_time()
    for _ in range(JOBS):
        histogram.record(1.0, known)
    return (time.process_time() - begun) / JOBS * 1e6


async def measure_telemetry(url: str, rounds: int) -> Mapping[str, float]:
    """Return microseconds per job, by what tells and what is done; and milliseconds for a page of metrics."""
    everything, some = TracerProvider(), TracerProvider(sampler=TraceIdRatioBased(SAMPLED))
    for provider in (everything, some):
        provider.add_span_processor(BatchSpanProcessor(Dropping(), max_queue_size=LARGE_ENOUGH))
    meter = MeterProvider([InMemoryMetricReader()])
    kinds: Mapping[str, Sequence[Middleware]] = {
        "none": (),
        "no SDK": (OpenTelemetry(),),
        "metrics": (OpenTelemetry(meter_provider=meter),),
        "1 % of traces": (OpenTelemetry(tracer_provider=some),),
        "traces": (OpenTelemetry(tracer_provider=everything),),
        "both": (OpenTelemetry(tracer_provider=everything, meter_provider=meter),),
    }
    samples: defaultdict[str, list[float]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        costs = {kind: Costs(url, kind, middleware) for kind, middleware in kinds.items()}
        for one in costs.values():
            await stack.enter_async_context(one.app)
            await one.measure()  # makes what is made once
        for _ in range(rounds):
            samples["a bare span"].append(_bare_span(everything))
            samples["a bare measurement"].append(_bare_record(meter))
            for kind, one in costs.items():
                for what, figure in (await one.measure()).items():
                    samples[f"{kind}: {what}"].append(figure)
        app = costs["none"].app
        pages = [await _cost(partial(metrics_text, app), 1) / 1000 for _ in range(SCRAPES)]
    everything.shutdown()
    some.shutdown()
    meter.shutdown()
    medians = {name: statistics.median(series) for name, series in samples.items()}
    return {**medians, "page_ms": statistics.median(pages)}


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("backend", choices=["asyncio", "trio"])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    figures = anyio.run(measure_telemetry, arguments.url, arguments.rounds, backend=arguments.backend)
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
