"""What this program does with its buffers, counted for OpenTelemetry as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.model.buffers.news import BufferEventKind
from conveyor_plugin_observability.attributes import BUFFER_ID

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Meter

    from conveyor.model.buffers.news import BufferEvent

__all__ = ["BufferCounters"]


class BufferCounters:
    """Counters of jobs that are collected, reduced, merged, added and given up, of flushes, and of failures.

    They are added to, not asked for: of instruments that are asked, a second app of one meter would have none.
    """

    def __init__(self, meter: Meter) -> None:
        """Make the instruments."""

        def of_jobs(name: str, what: str) -> Counter:
            return meter.create_counter(f"conveyor.buffer.{name}", "{job}", what)

        self._collected = of_jobs("collected", "Jobs that were put into a buffer.")
        self._reduced = of_jobs("reduced", "Jobs that a flush took out of a buffer.")
        self._merged = of_jobs("merged", "Jobs that went into others.")
        self._added = of_jobs("added", "Jobs that flushes added to queues.")
        self._dead_letters = of_jobs(
            "dead_letters", "Jobs that could not be reduced, or were refused, and are kept as failed ones."
        )
        self._flushes = meter.create_counter("conveyor.buffer.flushes", "{flush}", "Flushes that ended well.")
        self._failures = meter.create_counter("conveyor.buffer.failures", "{failure}", "How often reducing failed.")

    def hear(self, event: BufferEvent) -> None:
        """Count what happened."""
        which = {BUFFER_ID: event.buffer_id}
        match event.kind:
            case BufferEventKind.COLLECTED:
                self._collected.add(event.jobs, which)
            case BufferEventKind.REDUCED:
                self._reduced.add(event.jobs, which)
                self._merged.add(event.merged, which)
                self._added.add(event.added, which)
                self._dead_letters.add(event.dead_letters, which)
            case BufferEventKind.REDUCE_FAILED:
                self._failures.add(1, which)
            case BufferEventKind.FLUSHED:
                self._flushes.add(1, which)
