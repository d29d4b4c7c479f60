"""The deliveries that one worker has, ready or fetched; and the loop that asks the strategy for more.

A job that stalled before, a suspect, may be what its last worker died of: it is run alone (see suspects.py), and who
dies of it is to hold no other job whose stalls would be counted for it. So a worker holds one suspect at most, and
while it does, whatever else was not fetched yet goes back.
"""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from attrs import evolve

from conveyor._runtime.deliveries.holding import Holding
from conveyor._runtime.transient import until_available
from conveyor._runtime.wakeup import Wakeup
from conveyor.model.events import NotificationKind
from conveyor.model.locks import TRUST_MARGIN, Lock, LockToken
from conveyor.model.settlement import Refusal, RefusalReason

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from conveyor._builtin.memory.notifier import MemoryNotifier
    from conveyor._runtime.transient import Outage
    from conveyor.contracts.job_queue import DeliveringJobQueueStrategy, JobQueueCapabilities
    from conveyor.model.job import JobData
    from conveyor.model.queries import Want
    from conveyor.model.settlement import Settlement

__all__ = ["Deliveries"]

logger: Final = logging.getLogger("conveyor.worker")

# A delivery that nobody has fetched by then goes back, so that another worker may run it.
STALE_SECONDS: Final = 0.1


class Deliveries:
    """What a worker holds of a delivering strategy: ready ones by queue, fetched ones by lock."""

    def __init__(
        self,
        strategy: DeliveringJobQueueStrategy,
        capabilities: JobQueueCapabilities,
        notifier: MemoryNotifier,
        outage: Outage,
    ) -> None:
        """Hold none yet."""
        self._strategy = strategy
        self._capabilities = capabilities
        self._notifier = notifier
        self._outage = outage
        self._ready: dict[str, deque[Holding]] = {}
        self._suspect: Holding | None = None
        self._fetched: dict[Lock, Holding] = {}
        # Settled by a call that then failed for another one, and will be asked again.
        self._applied: set[Lock] = set()
        self._wanted: dict[str, int] = {}
        self._changed: dict[str, Wakeup] = {}

    def add_queue(self, queue_name: str) -> None:
        """Take wants for a queue from now on."""
        self._ready[queue_name], self._changed[queue_name] = deque(), Wakeup()

    async def run(self, queue_name: str) -> None:
        """Fetch from the strategy what a queue's worker wants, until the queue is stopped."""
        while True:
            limit = await self._until_wanted(queue_name)
            fetch = partial(self._strategy.fetch, queue_name, limit)
            deliveries = await until_available(fetch, "fetch deliveries", self._outage)
            if not deliveries:
                return
            now = anyio.current_time()
            surplus = self._put_ready(
                queue_name, [Holding(delivery, delivery.job, self._outage, now) for delivery in deliveries]
            )
            self._notifier.tell(NotificationKind.ADDED, [queue_name])
            for held in surplus:
                # For others: this worker asks for none until its own suspect is over.
                await held.hand_back()
            await self._until_taken(queue_name)

    def _put_ready(self, queue_name: str, deliveries: Sequence[Holding]) -> Sequence[Holding]:
        """Let deliveries be taken; return the suspects that there is no room for."""
        suspects = [held for held in deliveries if held.is_suspect]
        self._ready[queue_name].extend(held for held in deliveries if not held.is_suspect)
        if suspects and not self._has_suspect:
            self._suspect, *suspects = suspects
        return suspects

    @property
    def _has_suspect(self) -> bool:
        return self._suspect is not None or self._is_suspect_fetched

    @property
    def _is_suspect_fetched(self) -> bool:
        return any(held.is_suspect for held in self._fetched.values())

    async def _until_wanted(self, queue_name: str) -> int:
        while self._has_suspect or self._wanted.get(queue_name, 0) <= 0:
            await self._changed[queue_name].wait()
        return self._wanted[queue_name]

    async def _until_taken(self, queue_name: str) -> None:
        ready = self._ready[queue_name]
        with anyio.move_on_after(STALE_SECONDS):
            while ready and not self._is_suspect_fetched:
                await self._changed[queue_name].wait()
        # Whoever wanted them has found other work meanwhile.
        if not ready:
            return
        self._wanted[queue_name] = 0
        await self._hand_back_ready(queue_name)
        # Let it ask again once it has room.
        self._notifier.tell(NotificationKind.ADDED, [queue_name])

    def take(self, wants: Sequence[Want], token: LockToken) -> list[JobData]:
        """Take ready ones for a fetch, and remember what it wants beyond them; or the suspect, where that is wanted."""
        jobs: list[JobData] = []
        for want in wants:
            if want.is_suspect:
                jobs += self._take_suspect(want.queue_name, token)
            elif want.queue_name in self._ready:
                taken = self._take(self._ready[want.queue_name], want.limit, token)
                self._wanted[want.queue_name] = want.limit - len(taken)
                self._changed[want.queue_name].set()
                jobs += taken
        return jobs

    def _take_suspect(self, queue_name: str, token: LockToken) -> list[JobData]:
        held = self._suspect
        if held is None or held.job.queue_name != queue_name:
            return []
        self._suspect = None
        return [self._hold(held, token)]

    def _hold(self, held: Holding, token: LockToken) -> JobData:
        held.job = evolve(held.job, token=token)
        self._fetched[Lock(held.job.id, token)] = held
        return held.job

    def _take(self, ready: deque[Holding], limit: int, token: LockToken) -> list[JobData]:
        jobs: list[JobData] = []
        # A job that was delivered twice is two runs, and they need locks of their own: the next fetch has another.
        while ready and len(jobs) < limit and Lock(ready[0].job.id, token) not in self._fetched:
            jobs.append(self._hold(ready.popleft(), token))
        return jobs

    async def extend_all(self, lock_seconds: float = 0.0) -> None:
        """Extend whatever is held and was not extended for a tenth of this time; those that are lost are revoked.

        A worker trusts what it holds after every answer: so no answer may be given while something is older.
        """
        oldest = anyio.current_time() - lock_seconds * TRUST_MARGIN
        for lock, held in list(self._fetched.items()):
            if held.extended_at <= oldest and not await held.extend():
                self._forget(lock)
                self._notifier.tell(NotificationKind.REVOKED, [held.job.queue_name], lock.job_id)
        one = self._suspect
        if one is not None and one.extended_at <= oldest and not await one.extend() and one is self._suspect:
            self._forget_suspect()
        for ready in self._ready.values():
            for held in list(ready):
                if held.extended_at <= oldest and held in ready and not await held.extend():
                    ready.remove(held)

    def lost(self, locks: Sequence[Lock]) -> list[Lock]:
        """Return those of the locks that are not held any more."""
        return [lock for lock in locks if lock not in self._fetched and lock not in self._applied]

    async def settle(self, settlements: Sequence[Settlement]) -> list[Refusal]:
        """Settle runs, side by side, for as long as it takes; return what was refused."""
        refused: list[Refusal] = []
        async with anyio.create_task_group() as tasks:
            for settlement in settlements:
                tasks.start_soon(self._settle, settlement, refused)
        self._applied.clear()
        return refused

    async def _settle(self, settlement: Settlement, refused: list[Refusal]) -> None:
        lock = Lock(settlement.job_id, settlement.token)
        if lock in self._applied:
            return
        held = self._fetched.get(lock)
        if held is not None and await held.end(settlement, self._capabilities):
            self._applied.add(lock)
        else:
            refused.append(Refusal(settlement.job_id, settlement.token, RefusalReason.LOCK_LOST))
        self._forget(lock)

    async def hand_back(self, locks: Collection[Lock]) -> list[Lock]:
        """Hand fetched ones back, uncounted; return the locks that were lost."""
        lost: list[Lock] = []
        for lock in locks:
            held = self._fetched.get(lock)
            if held is None or not await held.hand_back():
                lost.append(lock)
            self._forget(lock)
        return lost

    def _forget(self, lock: Lock) -> None:
        held = self._fetched.pop(lock, None)
        if held is not None and held.is_suspect:
            self._ask_again()

    def _forget_suspect(self) -> Holding | None:
        held, self._suspect = self._suspect, None
        self._ask_again()
        return held

    def _ask_again(self) -> None:
        """A suspect is over, for which no queue was asked."""
        for changed in self._changed.values():
            changed.set()

    async def _hand_back_ready(self, queue_name: str) -> list[str]:
        """Hand back what waits to be fetched of a queue; return the ids of the jobs that were not lost before."""
        ready, job_ids = self._ready[queue_name], list[str]()
        while ready:
            held = ready.popleft()
            if await held.hand_back():
                job_ids.append(held.job.id)
        return job_ids

    async def leave(self, queue_name: str) -> list[str]:
        """Hand back all that waits to be fetched of a queue that is stopped, and return those ids, too."""
        job_ids = await self._hand_back_ready(queue_name)
        if self._suspect is not None and self._suspect.job.queue_name == queue_name:
            held = self._forget_suspect()
            if held is not None and await held.hand_back():
                job_ids.append(held.job.id)
        return job_ids

    async def make_room(self) -> None:
        """Hand back all that waits to be fetched beside the suspect."""
        for queue_name in self._ready:
            await self._hand_back_ready(queue_name)

    def suspect_queues(self, queue_names: Collection[str]) -> list[str]:
        """Return which of the queues has the suspect."""
        return [name for name in queue_names if self._suspect is not None and self._suspect.job.queue_name == name]

    async def hand_back_forgotten(self, held: Sequence[Lock], session_id: str, last_number: int) -> list[str]:
        """Hand those back that a fetch up to this number took and whose worker does not know of them."""
        known = set(held)
        forgotten = [
            lock
            for lock in self._fetched
            if lock not in known and lock.token.session_id == session_id and lock.token.fetch_number <= last_number
        ]
        await self.hand_back(forgotten)
        return [lock.job_id for lock in forgotten]

    async def close(self) -> int:
        """Hand back all that is left; return how many that were."""
        count = len(self._fetched)
        await self.hand_back(list(self._fetched))
        for queue_name in self._ready:
            count += len(await self.leave(queue_name))
        return count
