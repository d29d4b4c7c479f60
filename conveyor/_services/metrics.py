"""Reading what is counted of runs, and how full the queues are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.errors import ConfigurationError
from conveyor.model.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._services.services import Services
    from conveyor.model.durations import Duration
    from conveyor.model.metrics import Metrics

__all__ = ["read"]


async def read(services: Services, queue_names: Sequence[str], window: Duration | None) -> Metrics:
    """Return the metrics of these queues, or of all.

    Raises:
        CapabilityError: the store counts nothing.
        ConfigurationError: the window is no duration longer than zero.
    """
    span = None if window is None else parse_duration(window, field="window")
    if span is not None and not span:
        raise ConfigurationError("window must be longer than zero; None means all that is kept")
    return await services.metrics("metrics").get_metrics(span, queue_names=queue_names)
