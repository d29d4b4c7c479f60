"""What happens to conveyor's jobs, told to OpenTelemetry and to Prometheus."""

from __future__ import annotations

from conveyor_plugin_observability.tracing import OpenTelemetry

__all__ = ["OpenTelemetry"]
