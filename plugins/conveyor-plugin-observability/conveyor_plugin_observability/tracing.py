"""The middleware that tells OpenTelemetry of every add and every run: spans, and the conventions' metrics.

A job takes the context of its add along in its metadata, as ``traceparent``: so the span of a run, in whichever process
and however much later, links to the span of the add.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import anyio
from attrs import evolve
from opentelemetry import context, metrics, propagate, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from conveyor import Cancel, Completed, Failed, Retry, Snooze, Stop, WaitForChildren
from conveyor.contracts.runtime import BufferActivity
from conveyor.errors import ConfigurationError
from conveyor.model.durations import parse_duration
from conveyor_plugin_observability.attributes import (
    ERROR_TYPE,
    JOB_OUTCOME,
    name_of_error,
    of_add,
    of_run,
    size_of_add,
    title,
    which_run,
)
from conveyor_plugin_observability.buffer_counters import BufferCounters
from conveyor_plugin_observability.buffer_gauges import BufferGauges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, Meter, MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from conveyor import NewJob
    from conveyor.contracts.strategy import Injector
    from conveyor.model.durations import Duration
    from conveyor.model.job import JobData
    from conveyor.model.options import JobOptions
    from conveyor.model.queries import AddReceipt

__all__ = ["OpenTelemetry"]

_SCOPE: Final = "conveyor_plugin_observability"
# What the conventions recommend for times in seconds; a run may take longer than most messages do.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 300, 1800)
_OUTCOMES: Final[Mapping[type, str]] = {
    Cancel: "cancelled",
    Completed: "completed",
    Failed: "failed",
    Retry: "retry",
    Snooze: "snoozed",
    WaitForChildren: "waiting_children",
}


class OpenTelemetry:
    """A middleware: ``Conveyor(middleware=["opentelemetry"])``, or an instance with settings of its own."""

    def __init__(
        self,
        *,
        continues_trace: bool = False,
        buffers_every: Duration | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Say where to tell, and how runs belong to their adds.

        Args:
            continues_trace: a run is a child in the trace of its add. By default it begins a trace of its own, with a
                link, as the conventions have it: a job may be run again days later, and a batch may add thousands.
            buffers_every: how often to read from the store how full the buffers are, and tell. None: never. One
                program is enough: it tells of the buffers of all.
            tracer_provider: None: the one that the program has set, whenever it does.
            meter_provider: likewise.

        Raises:
            ConfigurationError: `buffers_every` is no duration longer than zero.
        """
        self._continues_trace = continues_trace
        self._tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
        meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)
        self._sent = meter.create_counter("messaging.client.sent.messages", "{message}", "Jobs that were to be added.")
        self._add_seconds = _seconds(meter, "messaging.client.operation.duration", "How long adds took.")
        self._run_seconds = _seconds(meter, "messaging.process.duration", "How long runs took.")
        self._buffer_counters = BufferCounters(meter)
        self._buffers_every = None if buffers_every is None else parse_duration(buffers_every, field="buffers_every")
        if self._buffers_every is not None:
            if not self._buffers_every:
                raise ConfigurationError("buffers_every must be longer than zero")
            self._buffer_gauges = BufferGauges(meter)

    @asynccontextmanager
    async def lifespan(self, injector: Injector, /) -> AsyncIterator[None]:
        """Count what is done with buffers, and tell how full they are where that is wanted, while the app is open.

        Raises:
            CapabilityError: the store keeps no buffers, and no other place is named for them.
        """
        with injector.get(BufferActivity).calling(self._buffer_counters.hear):
            if self._buffers_every is None:
                yield
                return
            async with anyio.create_task_group() as tasks:
                await tasks.start(self._buffer_gauges.tell_every, self._buffers_every, injector)
                yield
                tasks.cancel_scope.cancel()

    async def around_add(
        self,
        jobs: Sequence[NewJob],
        call_next: Callable[[Sequence[NewJob]], Awaitable[Sequence[AddReceipt]]],
        /,
    ) -> Sequence[AddReceipt]:
        """Add inside a span, whose context every job takes along."""
        if not jobs:
            return await call_next(jobs)
        known = of_add(jobs)
        with self._telling(SpanKind.PRODUCER, known, size_of_add(jobs), self._add_seconds):
            _take_along(jobs)
            receipts = await call_next(jobs)
        self._sent.add(len(jobs), known)
        return receipts

    async def around_run(self, job: JobData, call_next: Callable[[], Awaitable[object]], /) -> object:
        """Run inside a span that says how the run ended."""
        origin, links = self._origin(job)
        token = context.attach(origin)
        try:
            with self._telling(SpanKind.CONSUMER, of_run(job), which_run(job), self._run_seconds, links) as telling:
                return await _run(call_next, telling)
        finally:
            context.detach(token)

    def _origin(self, job: JobData) -> tuple[Context, Sequence[Link]]:
        """Return what the run begins in, and what it links to: the add that the job's metadata names, if any."""
        carried = propagate.extract(job.options.metadata)
        added = trace.get_current_span(carried).get_span_context()
        if self._continues_trace or not added.is_valid:
            return carried, ()
        # Its baggage comes along, its span is not the parent.
        return trace.set_span_in_context(trace.INVALID_SPAN, carried), [Link(added)]

    @contextmanager
    def _telling(
        self,
        kind: SpanKind,
        known: Mapping[str, str | int],
        one: Mapping[str, str | int],
        seconds: Histogram,
        links: Sequence[Link] = (),
    ) -> Iterator[Telling]:
        """Open a span, and measure; what is known of all alike goes into both, what tells one into the span."""
        with self._tracer.start_as_current_span(
            title(known),
            kind=kind,
            attributes={**known, **one},
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            telling, begun = Telling(span), time.perf_counter()
            try:
                yield telling
            except Stop:
                raise
            except Exception as exc:
                telling.error(exc)
                raise
            finally:
                seconds.record(time.perf_counter() - begun, {**known, **telling.fault})


class Telling:
    """What one span, and its measurement, is told of its end."""

    def __init__(self, span: Span) -> None:
        """Nothing has gone wrong yet."""
        self.fault: dict[str, str] = {}
        self._span = span

    def outcome(self, value: object) -> None:
        """A handler returned this, or stopped with it."""
        self._span.set_attribute(JOB_OUTCOME, _OUTCOMES.get(type(value), "completed"))
        if isinstance(value, Failed):
            self.error(value.error)
        elif isinstance(value, Retry):
            self._fail("Retry", value.reason)

    def raised(self) -> None:
        """A handler raised: that is its outcome, too. Of the error, whoever lets it pass is told."""
        self._span.set_attribute(JOB_OUTCOME, _OUTCOMES[Failed])

    def error(self, error: BaseException) -> None:
        """It failed."""
        self._span.record_exception(error)
        self._fail(name_of_error(error), str(error))

    def _fail(self, kind: str, reason: str) -> None:
        self.fault[ERROR_TYPE] = kind
        self._span.set_attribute(ERROR_TYPE, kind)
        self._span.set_status(Status(StatusCode.ERROR, reason))


async def _run(call_next: Callable[[], Awaitable[object]], telling: Telling) -> object:
    try:
        value = await call_next()
    except Stop as stop:
        telling.outcome(stop.outcome)
        raise
    except Exception:
        telling.raised()
        raise
    telling.outcome(value)
    return value


def _take_along(jobs: Sequence[NewJob]) -> None:
    """Let jobs carry the current context; metadata of the same name, as of a run that adds its own job again, goes."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    if not carrier:
        return
    # Those of one handler share their options, and go on doing so: stores write and group them as one.
    shared: JobOptions | None = None
    marked: JobOptions | None = None
    for job in jobs:
        if marked is None or job.options is not shared:
            shared, marked = job.options, evolve(job.options, metadata={**job.options.metadata, **carrier})
        job.options = marked


def _seconds(meter: Meter, name: str, description: str) -> Histogram:
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=_BUCKETS)
