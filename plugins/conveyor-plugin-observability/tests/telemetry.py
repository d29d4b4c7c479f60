"""Where the tests' telemetry goes: exporters in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import frozen
from conveyor_plugin_observability import OpenTelemetry
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint
    from opentelemetry.sdk.trace import ReadableSpan


@frozen
class Telemetry:
    """What was told."""

    spans: InMemorySpanExporter
    reader: InMemoryMetricReader
    tracer_provider: TracerProvider
    meter_provider: MeterProvider

    def middleware(self, *, continues_trace: bool = False) -> OpenTelemetry:
        """Return one that tells it here."""
        return OpenTelemetry(
            continues_trace=continues_trace, tracer_provider=self.tracer_provider, meter_provider=self.meter_provider
        )

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the spans of this name that have ended, in the order of their ends."""
        return [span for span in self.spans.get_finished_spans() if span.name == name]

    def points(self, name: str) -> list[NumberDataPoint | HistogramDataPoint]:
        """Return what an instrument has measured."""
        data = self.reader.get_metrics_data()
        found = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics] if data else []
        return [point for metric in found if metric.name == name for point in metric.data.data_points]  # type: ignore[misc]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Providers with exporters in memory."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracer_provider, meter_provider = TracerProvider(), MeterProvider([reader])
    tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
    yield Telemetry(spans, reader, tracer_provider, meter_provider)
    meter_provider.shutdown()
    tracer_provider.shutdown()
