"""What happens to conveyor's jobs, told to OpenTelemetry and to Prometheus.

Names are imported when they are first used: who traces needs nothing of Prometheus.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from conveyor_plugin_observability.prometheus import metrics_text as metrics_text
    from conveyor_plugin_observability.serving import metrics_app as metrics_app
    from conveyor_plugin_observability.tracing import OpenTelemetry as OpenTelemetry

__all__ = ["OpenTelemetry", "metrics_app", "metrics_text"]

_HOMES: Final = {"OpenTelemetry": "tracing", "metrics_app": "serving", "metrics_text": "prometheus"}

if not TYPE_CHECKING:  # or every misspelt name would be there for type checkers, too

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
