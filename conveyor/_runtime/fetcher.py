"""The fetcher: how many jobs to fetch, from which queues, and when.

No timer bounds throughput: a full answer asks again at once, a finished job's settle asks in the same round
trip, and an idle worker asks when it hears that there is work (or, hearing nothing, every poll interval).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
from attrs import define, field

from conveyor._runtime.prefetch import Prefetch
from conveyor._runtime.shares import Shares
from conveyor._runtime.transient import until_available
from conveyor._runtime.wakeup import Wakeup
from conveyor.errors import SessionLostError
from conveyor.model.locks import trusted_until_seconds
from conveyor.model.queries import Want

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._runtime.board import Board
    from conveyor._runtime.session import Session
    from conveyor._runtime.transient import Outage
    from conveyor._runtime.trust import Trust
    from conveyor.contracts.store import Store
    from conveyor.model.job import JobData
    from conveyor.model.settlement import Settlement
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["Fetch", "Fetcher"]

# A job fetched ahead that has not started by then goes back, so that another worker may run it.
STALE_SECONDS: Final = 0.1


@define
class Fetch:
    """One fetch under way: what is wanted, under which number, and when it was asked."""

    number: int
    wants: Sequence[Want]
    asked_at: float
    hints: Mapping[str, int] = field(factory=dict)

    @property
    def size(self) -> int:
        """How many jobs it may bring."""
        return sum(want.limit for want in self.wants)


class Fetcher:
    """Decides what to fetch; the settler asks it for wants to send along.

    Attributes:
        is_paused: while it is set, it fetches nothing, and what a fetch under way brings goes back.
    """

    def __init__(
        self, store: Store, board: Board, session: Session, options: WorkerOptions, *, trust: Trust, outage: Outage
    ) -> None:
        """Bind to a board; queues are added later."""
        self._store = store
        self._session = session
        self._board = board
        self._options = options
        self._trust = trust
        self._outage = outage
        self._queues = Shares()
        self._wakeup = Wakeup()
        self._last_number = 0
        self._in_flight = 0
        self._under_way: set[int] = set()
        self._prefetch = Prefetch(board, options.prefetch)
        self._is_held = False
        self.is_paused = False
        self._waits_for_work = False
        self._delivered_at = 0.0
        self._poll_at = anyio.current_time() + options.poll_interval.total_seconds()

    @property
    def last_delivered_number(self) -> int:
        """The highest number up to which no fetch is under way any more."""
        return min(self._under_way, default=self._last_number + 1) - 1

    @property
    def queue_names(self) -> Sequence[str]:
        """The queues fetched from; none while the worker is paused, nor once it has started its last job."""
        return self._queues.names if self._board.starts_left > 0 and not self.is_paused else ()

    @property
    def is_under_way(self) -> bool:
        """Whether a fetch was asked for and is not answered yet."""
        return bool(self._under_way)

    @property
    def is_held(self) -> bool:
        """Whether it fetches nothing but suspects."""
        return self._is_held

    def add_queue(self, queue_name: str, weight: int = 1) -> None:
        """Fetch from a queue from now on."""
        self._queues.add(queue_name, weight)
        self._wakeup.set()

    def remove_queue(self, queue_name: str) -> None:
        """Fetch from a queue no more."""
        self._queues.remove(queue_name)

    def notice_work(self, queue_name: str = "") -> None:
        """Somebody says that a queue (or any) may have work."""
        self._queues.notice_work(queue_name)
        self._wakeup.set()

    def hold(self) -> None:
        """Fetch nothing but suspects, until `go_on`."""
        self._is_held = True

    def go_on(self) -> None:
        """Fetch as usual again."""
        self._is_held = False
        self._wakeup.set()

    def close(self) -> None:
        """Fetch nothing more."""
        self._queues.clear()
        self._wakeup.set()

    async def run(self) -> None:
        """Fetch whatever the settler does not fetch along the way."""
        while True:
            self._poll_if_due()
            fetch = self.begin()
            if fetch is not None:
                await self._fetch(fetch)
                continue
            if self._board.ready:
                await self._wakeup.wait(STALE_SECONDS)
                self._hand_back_stale()
            else:
                self._waits_for_work = True
                await self._wakeup.wait(self._poll_at - anyio.current_time())
                self._waits_for_work = False

    def _poll_if_due(self) -> None:
        """Look everywhere once in a while: at fixed times, however often hints about other queues come between."""
        now = anyio.current_time()
        if now >= self._poll_at:
            self._poll_at = now + self._options.poll_interval.total_seconds()
            self.notice_work()

    def begin(self, ending: Sequence[Settlement] = ()) -> Fetch | None:
        """Return what to fetch now, or None; whoever takes it must `deliver` or `give_up`.

        Args:
            ending: runs that are settled before the fetch, which makes room where their queue has limits.
        """
        limited = self._board.guarded.limited
        for name in limited and limited.intersection(settlement.queue_name for settlement in ending):
            self._queues.notice_work(name)
        # Jobs on their way back come before whatever the store has left: once they are there, the settler says so.
        is_held = self._is_held or self.is_paused or self._board.outbox.has_hand_backs
        demand = 0 if is_held else self._demand()
        wants = self._wants(demand) if demand > 0 else ()
        return self._begin(wants) if wants else None

    async def fetch_suspect(self, queue_names: Sequence[str]) -> bool:
        """Fetch one job that stalled before, from the first of these queues that has any; return whether one came."""
        wants = [Want(name, 1, is_suspect=True) for name in queue_names if name in self.queue_names]
        return bool(wants and await self._fetch(self._begin(wants)))

    async def fetch_one_of_each(self) -> bool:
        """Ask every queue for one job, whatever hints say; return whether any had one."""
        wants = [self._want(name, 1) for name in self.queue_names]
        return bool(wants and await self._fetch(self._begin(wants)))

    def _begin(self, wants: Sequence[Want]) -> Fetch:
        self._last_number += 1
        fetch = Fetch(self._last_number, wants, anyio.current_time(), self._queues.hints())
        self._in_flight += fetch.size
        self._under_way.add(fetch.number)
        return fetch

    def deliver(self, fetch: Fetch, jobs: Sequence[JobData]) -> None:
        """Put what a fetch brought on the board, and learn from it."""
        self._forget(fetch)
        self._trust.extend(fetch.asked_at)
        self._board.guarded.note_jobs(jobs)
        self._board.guarded.note_dry(self._queues.learn_which_are_dry(fetch.wants, jobs, fetch.hints))
        now = anyio.current_time()
        was_dry = not self._board.ready and len(self._board.running) < self._options.concurrency
        self._prefetch.learn(now, now - fetch.asked_at, was_dry=was_dry)
        jobs = self._without_stopped(fetch, jobs)
        if jobs and trusted_until_seconds(fetch.asked_at, self._options.lock_duration) <= now:
            # The answer took so long that the store may have given the jobs away: start none of them. That the
            # session is trusted (again) says nothing of them: it may have been opened anew.
            self._board.outbox.hand_back(jobs)
        elif jobs:
            self._delivered_at = now
            self._board.deliver(jobs, fetch.asked_at)
        has_spare = self._board.occupied > self._options.concurrency
        if len(jobs) < fetch.size or (has_spare and self._waits_for_work):
            self._look_again()

    def _without_stopped(self, fetch: Fetch, jobs: Sequence[JobData]) -> Sequence[JobData]:
        """Hand back what came of a queue that was stopped while it was asked for; return the others."""
        names = () if self.is_paused else self._queues.names
        stopped = {want.queue_name for want in fetch.wants if want.queue_name not in names}
        if not stopped:
            return jobs
        self._board.outbox.hand_back([job for job in jobs if job.queue_name in stopped])
        return [job for job in jobs if job.queue_name not in stopped]

    def give_up(self, fetch: Fetch) -> None:
        """Note that a fetch is over; what it locked without an answer, reconciling gives back."""
        self._forget(fetch)
        self._look_again()

    def _look_again(self) -> None:
        """Wake the loop after a fetch that somebody else began: a settler asks only once.

        There may be room left for what other queues have, or jobs beyond the slots that must go back in time.
        """
        self._wakeup.set()

    def _forget(self, fetch: Fetch) -> None:
        self._in_flight -= fetch.size
        self._under_way.discard(fetch.number)

    async def _fetch(self, fetch: Fetch) -> Sequence[JobData]:
        try:
            jobs = await self._ask(fetch)
        except BaseException:
            self.give_up(fetch)
            raise
        self.deliver(fetch, jobs)
        return jobs

    async def _ask(self, fetch: Fetch) -> Sequence[JobData]:
        while True:
            try:
                return await until_available(
                    lambda: self._store.jobs.fetch_jobs(
                        fetch.wants, self._board.session_id, self._options.lock_duration, fetch_number=fetch.number
                    ),
                    "fetch jobs",
                    self._outage,
                )
            except SessionLostError:
                if self._session.is_closed:
                    return ()
                await self._session.reopen()

    def _demand(self) -> int:
        room = self._options.concurrency + self._prefetch.size - self._board.occupied - self._in_flight
        if self._options.max_jobs is None:
            return room
        return min(room, self._options.max_jobs - self._board.started_count - len(self._board.ready) - self._in_flight)

    def _wants(self, demand: int) -> Sequence[Want]:
        """Divide the demand; want no more of queues with limits or groups than can start at once."""
        limits = dict(self._queues.divide(demand))
        guarded = self._board.guarded.names
        if guarded and not guarded.isdisjoint(limits):
            free = self._options.concurrency - self._board.occupied - self._in_flight
            # In the order of the queues, which a set does not keep: two runs divide alike.
            for name in [name for name in limits if name in guarded]:
                limits[name] = max(min(limits[name], free), 0)
                free -= limits[name]
        return [self._want(name, limit) for name, limit in limits.items() if limit]

    def _want(self, queue_name: str, limit: int) -> Want:
        return Want(queue_name, limit, lifo=self._options.lifo)

    def _hand_back_stale(self) -> None:
        if self._board.ready and anyio.current_time() - self._delivered_at >= STALE_SECONDS:
            self._prefetch.pause()
            self._board.hand_back_ready()
