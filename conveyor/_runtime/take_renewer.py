"""The take renewer: flushes of this program keep what they took for as long as their `reduce` goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from conveyor._runtime.wakeup import Wakeup
from conveyor._services.takes import RENEWAL_SECONDS

if TYPE_CHECKING:
    from conveyor._services.takes import Takes
    from conveyor.contracts.buffer_storage import TransactionalBufferStorage

__all__ = ["TakeRenewer"]


class TakeRenewer:
    """Renews each take a third of its time before others may have it, and asks nothing where there is none."""

    def __init__(self, takes: Takes, storage: TransactionalBufferStorage) -> None:
        """Bind to the flushes of a program."""
        self._takes = takes
        self._storage = storage
        self._wakeup = Wakeup()

    async def run(self) -> None:
        """Renew for ever."""
        self._takes.on_begun = self._wakeup.set
        while True:
            take = self._takes.next_to_renew()
            if take is None:
                await self._wakeup.wait()
                continue
            rest = take.renewed_at + RENEWAL_SECONDS - anyio.current_time()
            if rest > 0:
                await self._wakeup.wait(rest)
            else:
                await take.renew(self._storage)
