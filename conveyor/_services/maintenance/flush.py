"""The flush pass: buffers whose triggers say so are flushed, and those that nobody here knows are reported."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
from attrs import define, field

from conveyor._services.buffers import get_sizes
from conveyor._services.flushing import flush_buffer
from conveyor._services.unregistered import report_unregistered
from conveyor.errors import CapabilityError, StoreError
from conveyor.model.buffers.job_buffer import due_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from conveyor._services.services import Services
    from conveyor.model.buffers.job_buffer import JobBuffer
    from conveyor.model.buffers.values import BufferSize

__all__ = ["FlushPass", "flush_at_shutdown"]

logger: Final = logging.getLogger("conveyor.buffers")

# After a reduce that raised, its buffer is left alone for so long, and twice as long after each further time.
FIRST_PAUSE: Final = timedelta(seconds=10)
LONGEST_PAUSE: Final = timedelta(minutes=10)


@define
class FlushPass:
    """One look at the buffers of a program. It remembers which failed, to leave those alone, and which it reported.

    `counting_seconds` is what the last look took to count what is in the buffers.
    """

    services: Services
    counting_seconds: float = field(default=0.0, init=False)
    _failures: dict[str, tuple[int, datetime]] = field(factory=dict, init=False)
    _reported: set[str] = field(factory=set, init=False)
    _is_blind: bool = field(default=False, init=False)

    async def look(self) -> timedelta | None:
        """Flush what is due; return how long it is until the next is, as far as is known (None: until more comes).

        Raises:
            StoreError: the store fails.
            CapabilityError: there is nowhere to keep buffers.
        """
        began = anyio.current_time()
        sizes = await self._count()
        self.counting_seconds = anyio.current_time() - began
        self._report_unknown(sizes)
        return await self._flush_due(sizes)

    async def look_before_the_end(self) -> None:
        """Flush what is due, and what is to be flushed when the app closes.

        Raises:
            StoreError, CapabilityError: as for `look`.
        """
        sizes = await self._count()
        await self._flush_due(sizes)
        now = self.services.buffers.now()
        for buffer in [*self.services.buffers.by_id.values()]:
            if buffer.flush_on_shutdown and buffer.id in sizes and self._rests_until(buffer.id, now) <= now:
                await self._try_to_flush(buffer, now)

    async def _count(self) -> Mapping[str, BufferSize]:
        """Return how full buffers are; nothing, while a storage fails that is not the app's store."""
        try:
            sizes = await get_sizes(self.services)
        except StoreError:
            raise
        except Exception as exc:
            if isinstance(exc, CapabilityError) and self.services.buffers.transactional is not None:
                raise
            if not self._is_blind:
                logger.exception("what is in buffers cannot be counted, and no trigger flushes them until it can")
            self._is_blind = True
            return {}
        self._is_blind = False
        return sizes

    async def _flush_due(self, sizes: Mapping[str, BufferSize]) -> timedelta | None:
        now = self.services.buffers.now()
        waits: list[timedelta] = []
        for buffer in [*self.services.buffers.by_id.values()]:
            size = sizes.get(buffer.id)
            at = None if size is None else due_at(buffer, size)
            if at is None:
                continue
            at = max(at, self._rests_until(buffer.id, at))
            if at > now:
                waits.append(at - now)
            elif (pause := await self._try_to_flush(buffer, now)) is not None:
                waits.append(pause)
        return min(waits, default=None)

    async def _try_to_flush(self, buffer: JobBuffer, now: datetime) -> timedelta | None:
        """Flush a buffer; return for how long it is left alone where that failed."""
        try:
            await flush_buffer(self.services, buffer)
        except StoreError:
            raise
        except Exception:
            logger.exception("buffer %s could not be flushed", buffer.id)
            return self._note_failure(buffer.id, now)
        self._failures.pop(buffer.id, None)
        return None

    def _rests_until(self, buffer_id: str, otherwise: datetime) -> datetime:
        """Return until when a buffer is left alone whose last flush failed."""
        return self._failures.get(buffer_id, (0, otherwise))[1]

    def _note_failure(self, buffer_id: str, now: datetime) -> timedelta:
        """Return for how long the buffer is left alone."""
        count = self._failures.get(buffer_id, (0, now))[0] + 1
        pause = min(FIRST_PAUSE * (1 << min(count - 1, 10)), LONGEST_PAUSE)
        self._failures[buffer_id] = count, now + pause
        return pause

    def _report_unknown(self, sizes: Mapping[str, BufferSize]) -> None:
        unknown = sizes.keys() - self.services.buffers.by_id.keys()
        report_unregistered({buffer_id: sizes[buffer_id] for buffer_id in unknown - self._reported})
        self._reported = unknown


async def flush_at_shutdown(services: Services, buffer: JobBuffer, seconds: float) -> None:
    """Flush a buffer since the app closes, in so long at most; what cannot be flushed stays, and is logged."""
    with anyio.move_on_after(seconds) as scope:
        try:
            await flush_buffer(services, buffer)
        except Exception:
            logger.exception("buffer %s could not be flushed at shutdown", buffer.id)
    if scope.cancelled_caught:
        logger.error(
            "buffer %s could not be flushed at shutdown within %.0f s: jobs that were not added stay in it",
            buffer.id,
            seconds,
        )
