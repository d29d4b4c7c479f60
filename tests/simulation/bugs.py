"""Bugs to plant: each breaks one promise of the runtime at a seam, and the simulation must find it."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import anyio
import anyio.lowlevel

from conveyor._runtime import fetcher, settler
from conveyor._runtime.board import Board
from conveyor._runtime.deadlines import Deadlines
from conveyor._runtime.fetcher import Fetcher
from conveyor._runtime.lock_renewer import LockRenewer
from conveyor._runtime.maintenance import Promoter, StallDetector
from conveyor._runtime.outbox import Outbox
from conveyor._runtime.session import Session
from conveyor._runtime.settler import Settler
from conveyor._runtime.shares import Shares
from conveyor._runtime.slots import Slot, StopReason
from conveyor._runtime.suspects import Suspects
from conveyor._runtime.transient import until_available
from conveyor._runtime.trust import Trust
from conveyor._runtime.worker import Worker
from conveyor.errors import StoreUnavailableError
from conveyor.model.outcomes import Failed
from conveyor.model.queries import Want
from conveyor.model.settlement import SettleReport
from tests.simulation.feature_bugs import FEATURE_BUGS
from tests.simulation.threads import VirtualWatchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from conveyor.model.job import JobData

__all__ = ["BUGS", "planted"]


def _nothing(*_: object, **__: object) -> None:
    return None


async def _settled_as_far_as_we_know(call: Callable[[], Any], what: str, outage: object) -> Any:
    """Settle once, and take a failure for success."""
    try:
        return await call()
    except StoreUnavailableError:
        return SettleReport()


def _forgetful_take(self: Outbox) -> Any:
    """Take the settlements and keep none until they are confirmed."""
    taken, self._settlements = self._settlements, []
    return taken


async def _leave_without_a_word(self: Worker) -> None:
    self._fetcher.close()
    self._board.is_closing = True


async def _renew_nothing(self: LockRenewer) -> float:
    self._trust.extend(anyio.current_time())
    return self._interval_seconds


def _charge_the_stopped(self: Slot, job: JobData) -> None:
    if self._stop_reason in (StopReason.SHUTDOWN, None):
        self._end(job, Failed("stopped"))
    else:
        _end_cancelled(self, job)


def _deliver_whatever_comes(self: Fetcher, fetch: Any, jobs: Sequence[JobData]) -> None:
    with patch.object(fetcher, "trusted_until_seconds", lambda *_: math.inf):
        _deliver(self, fetch, jobs)


def _forget_the_lost(self: Slot, job: JobData, value: object) -> None:
    if self._stop_reason is StopReason.LOCK_LOST:
        self.job = None
        self._board.running.pop((job.id, job.token), None)
    else:
        _end(self, job, value)


async def _give_a_lost_session_up(self: Session) -> None:
    del self
    await anyio.sleep(1)


async def _renew_as_if_there_were_one(self: Session) -> None:
    await self._store.sessions.renew(self.info.id, self._lock_duration)


async def _never_look(self: StallDetector) -> None:
    await anyio.sleep_forever()


def _poll_unless_woken(self: Fetcher) -> None:
    """Put the polling off by every wake-up, also by one about another queue."""
    now = anyio.current_time()
    if now >= self._poll_at:
        self.notice_work()
    self._poll_at = now + self._options.poll_interval.total_seconds()


def _take_whatever_comes(self: Board) -> JobData | None:
    return self.ready.popleft() if self.ready else None


async def _flush_reports_first(self: Settler) -> None:
    while self._outbox.has_reports:
        await self._write_reports()
    if locks := self._outbox.take_hand_backs():
        await until_available(lambda: self._store.jobs.release_locks(locks), "hand jobs back", self._outage)
        self._outbox.confirm_released(locks)
    if self._outbox.has_settlements:
        await self._settle()


async def _run_one_after_the_other(self: Suspects) -> None:
    """Let no other have his turn while there is a suspect."""
    await _until_empty(self)
    while await self._fetcher.fetch_suspect(await self._queue_names()):
        await _until_empty(self)


async def _make_no_room(self: Suspects) -> Sequence[str]:
    return await self._queue_names()


def _divide_evenly(self: Shares, demand: int) -> Any:
    for share in self._by_name.values():
        share.weight = 1
    return _divide(self, demand)


def _want_the_oldest(self: Fetcher, queue_name: str, limit: int) -> Want:
    return Want(queue_name, limit)


async def _have_no_mercy(self: Worker) -> None:
    await anyio.sleep_forever()


_until_empty: Final = Suspects._until_empty
_divide: Final = Shares.divide
_end_cancelled: Final = Slot._end_cancelled
_end: Final = Slot._end
_deliver: Final = Fetcher.deliver

# What is broken, and with what: (owner, attribute, replacement).
BUGS: Final[dict[str, list[tuple[Any, str, Any]]]] = {
    "the end of trust is ignored": [
        (LockRenewer, "_stop_unless_trusted", _nothing),
    ],
    "trust never ends": [
        (Trust, "seconds_left", property(lambda self: 5.0)),
    ],
    "a settlement that failed is taken for written": [
        (settler, "until_available", _settled_as_far_as_we_know),
    ],
    "the outbox keeps nothing until it is confirmed": [
        (Outbox, "take_settlements", _forgetful_take),
    ],
    "nothing is handed back on shutdown": [
        (Worker, "_leave", _leave_without_a_word),
    ],
    "the fetcher hears nothing and never polls": [
        (Fetcher, "notice_work", _nothing),
    ],
    "locks are not renewed": [
        (LockRenewer, "_renew", _renew_nothing),
    ],
    "a hand-back is charged as an attempt": [
        (Slot, "_end_cancelled", _charge_the_stopped),
    ],
    "jobs of a late answer are started though their locks may be over": [
        (Fetcher, "deliver", _deliver_whatever_comes),
    ],
    "a run that was stopped when trust ended is forgotten": [
        (Slot, "_end", _forget_the_lost),
    ],
    "a lost session is not opened again": [
        (Session, "reopen", _give_a_lost_session_up),
        (Session, "renew", _renew_as_if_there_were_one),
    ],
    "nobody looks for stalled jobs": [
        (StallDetector, "run", _never_look),
    ],
    "a fetch that brought too little leaves its room empty": [
        (Fetcher, "_look_again", _nothing),
    ],
    "every wake-up puts the polling off": [
        (Fetcher, "_poll_if_due", _poll_unless_woken),
    ],
    "a job is started whose time to start went by on the way": [
        (Board, "take", _take_whatever_comes),
    ],
    "a run may end between its reports and its settlement": [
        (Settler, "_flush", _flush_reports_first),
    ],
    "suspects run beside others": [
        (Suspects, "_queue_names_once_empty", _make_no_room),
    ],
    "suspects leave the others no turn": [
        (Suspects, "_until_empty", _run_one_after_the_other),
    ],
    "the weights of queues are ignored": [
        (Shares, "divide", _divide_evenly),
    ],
    "a worker that wants the newest gets the oldest": [
        (Fetcher, "_want", _want_the_oldest),
    ],
    "jobs fetched ahead stay, however long they do not start": [
        (Fetcher, "_hand_back_stale", _nothing),
    ],
    "a stopping worker waits for its handlers as long as they like": [
        (Worker, "_end_grace", _have_no_mercy),
    ],
    "timeouts are not watched": [
        (Deadlines, "watch", _nothing),
    ],
    "news of a lost lock does not reach the run": [
        (Board, "lose", _nothing),
    ],
    "the promoter does not hear that jobs were put off": [
        (Promoter, "look_again", _nothing),
    ],
    "the thread does not renew while the loop is blocked": [
        (VirtualWatchdog, "look", _nothing),
    ],
    **FEATURE_BUGS,
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant a bug for as long as the context is open."""
    with ExitStack() as stack:
        for owner, attribute, replacement in BUGS[name]:
            stack.enter_context(patch.object(owner, attribute, replacement))
        yield
