"""How full buffers are and since when, read every so often and told to OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import anyio

from conveyor.contracts.buffer_storage import JobBufferStorageStrategy, TransactionalBufferStorage
from conveyor.contracts.clock import Clock
from conveyor.contracts.runtime import Logger
from conveyor.errors import StoreError
from conveyor_plugin_observability.attributes import BUFFER_ID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from anyio.abc import TaskStatus
    from opentelemetry.metrics import Meter

    from conveyor.contracts.strategy import Injector

__all__ = ["BufferGauges"]

# Counting takes a twentieth of the time at most, however much is buffered.
REST_PER_READING: Final = 19
_Figures = tuple[float, ...]


class _Gauge(Protocol):
    def set(self, amount: float, attributes: Mapping[str, str] | None = None) -> None: ...


class BufferGauges:
    """Gauges of the jobs in buffers, of the bytes of their arguments, and of the age of the oldest.

    They are set, not asked for: an exporter asks in a thread of its own and waits, and a store is asked by the event
    loop, which may be waiting for the exporter.
    """

    def __init__(self, meter: Meter) -> None:
        """Make the instruments."""
        self._gauges: Sequence[_Gauge] = (
            meter.create_gauge("conveyor.buffer.jobs", "{job}", "Jobs that wait in a buffer."),
            meter.create_gauge("conveyor.buffer.size", "By", "Bytes of their arguments."),
            meter.create_gauge("conveyor.buffer.oldest_age", "s", "For how long the oldest has been in a buffer."),
        )

    async def tell_every(self, every: timedelta, injector: Injector, *, task_status: TaskStatus[None]) -> None:
        """Tell until cancelled, the first time before it has started. A store that cannot be asked is asked again.

        Raises:
            CapabilityError: the store keeps no buffers, and no other place is named for them.
        """
        told: set[str] = set()
        rest = await self._look(injector, told)
        task_status.started()
        while True:
            await anyio.sleep(max(every.total_seconds(), rest))
            rest = await self._look(injector, told)

    async def _look(self, injector: Injector, told: set[str]) -> float:
        """Read and tell; return how many seconds are to pass at least until the next time."""
        began = anyio.current_time()
        try:
            figures = await _read(injector.get(JobBufferStorageStrategy), injector.get(Clock))
        except StoreError as exc:
            injector.get(Logger).warning("cannot tell how full the buffers are: %s", exc)
        else:
            self._tell(figures, told)
        return (anyio.current_time() - began) * REST_PER_READING

    def _tell(self, figures: Mapping[str, _Figures], told: set[str]) -> None:
        # A gauge stands as it was set last, so those that are empty by now are told of once more.
        for buffer_id in told - figures.keys():
            for gauge in self._gauges:
                gauge.set(0, {BUFFER_ID: buffer_id})
        for buffer_id, values in figures.items():
            for gauge, value in zip(self._gauges, values, strict=False):
                gauge.set(value, {BUFFER_ID: buffer_id})
        told.update(figures)


async def _read(storage: JobBufferStorageStrategy, clock: Clock) -> Mapping[str, _Figures]:
    """Return jobs, bytes and age of each buffer that has jobs; of a storage that cannot tell, the jobs alone."""
    if not isinstance(storage, TransactionalBufferStorage):
        return {buffer_id: (count,) for buffer_id, count in (await storage.buffer_size()).items()}
    sizes, now = await storage.get_sizes(), clock.now()
    return {
        buffer_id: (size.jobs, size.bytes, max(0.0, (now - size.oldest_at).total_seconds()))
        for buffer_id, size in sizes.items()
    }
