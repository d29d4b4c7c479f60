"""The takes of a program's flushes: what each took, and that it still has it while its jobs are being reduced."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import anyio
from attrs import define, field

from conveyor.errors import BufferTakeLostError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from conveyor.contracts.buffer_storage import TransactionalBufferStorage
    from conveyor.model.buffers.values import KeptJob

__all__ = ["RENEWAL_SECONDS", "TAKEN_FOR", "Take", "Takes"]

logger: Final = logging.getLogger("conveyor.buffers")

# Who died with what it took has it for so long at most.
TAKEN_FOR: Final = timedelta(minutes=1)
# Two renewals may fail before others take the jobs.
RENEWAL_SECONDS: Final = TAKEN_FOR.total_seconds() / 3


@define(eq=False)
class Take:
    """What one flush took from a buffer, and whether that is certain to be its own still."""

    buffer_id: str
    token: str
    jobs: Sequence[KeptJob]
    renewed_at: float = field(factory=anyio.current_time, init=False)
    _is_lost: bool = field(default=False, init=False)
    _is_certain: bool = field(default=True, init=False)
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False)

    async def renew(self, storage: TransactionalBufferStorage) -> None:
        """Have the jobs for `TAKEN_FOR` from now on. Where that fails, it is found out before the commit."""
        async with self._lock:
            # Early, so that a storage that cannot be reached is asked no more often.
            self.renewed_at = anyio.current_time()
            try:
                await self._take_again(storage)
            except Exception as exc:  # noqa: BLE001 - whatever a storage raises, the flush asks again and raises it then
                logger.warning("buffer %s: what a flush took could not be renewed: %s", self.buffer_id, exc)

    @asynccontextmanager
    async def committing(self, storage: TransactionalBufferStorage) -> AsyncIterator[None]:
        """Let nothing be renewed while the context lasts, which commits.

        Raises:
            BufferTakeLostError: it was lost.
            Exception: a renewal has failed, and so does asking again.
        """
        async with self._lock:
            if not self._is_certain:
                await self._take_again(storage)
            if self._is_lost:
                raise BufferTakeLostError(self.buffer_id, self.token)
            yield

    async def _take_again(self, storage: TransactionalBufferStorage) -> None:
        # Once lost, a token takes anew as any other would, maybe without a job that was cancelled: then the commit of
        # what was taken first must not be tried.
        self._is_certain = False
        again = await storage.take(self.buffer_id, self.token, TAKEN_FOR, limit=len(self.jobs))
        self._is_certain = True
        self._is_lost = self._is_lost or _shape(again) != _shape(self.jobs)


def _shape(jobs: Sequence[KeptJob]) -> list[object]:
    return [(one.job.id, one.added_at) for one in jobs]


class Takes:
    """Those of all flushes that go on.

    Attributes:
        on_begun: called when there is one more.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.on_begun: Callable[[], None] = lambda: None
        self._held: list[Take] = []

    @contextmanager
    def holding(self, take: Take) -> Iterator[None]:
        """Have it renewed for as long as the context lasts."""
        self._held.append(take)
        self.on_begun()
        try:
            yield
        finally:
            self._held.remove(take)

    def next_to_renew(self) -> Take | None:
        """Return the one that was renewed longest ago; None: there are none."""
        return min(self._held, key=lambda take: take.renewed_at, default=None)
