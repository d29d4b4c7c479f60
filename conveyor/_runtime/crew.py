"""The crew of a worker: all that works for it side by side, made for one another. The worker owns their tasks."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.from_thread
import anyio.lowlevel
from attrs import define

from conveyor._runtime.board import Board
from conveyor._runtime.deadlines import Deadlines
from conveyor._runtime.endings import Endings
from conveyor._runtime.executor import Executor, RunMeans
from conveyor._runtime.fetcher import Fetcher
from conveyor._runtime.flusher import Flusher
from conveyor._runtime.handler_threads import HandlerThreads
from conveyor._runtime.limit_watcher import LimitWatcher
from conveyor._runtime.lock_renewer import LockRenewer
from conveyor._runtime.maintenance import Promoter, Retainer, StallDetector
from conveyor._runtime.outbox import Outbox
from conveyor._runtime.session import Session, describe_session
from conveyor._runtime.settler import Settler
from conveyor._runtime.suspects import Suspects
from conveyor._runtime.ticker import Ticker
from conveyor._runtime.transactions import TransactionOpener
from conveyor._runtime.trust import Trust
from conveyor._runtime.wakeup import Wakeup
from conveyor._runtime.watchdog import Watchdog
from conveyor._services.flows import RunFlows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from conveyor._runtime.board import RunListener
    from conveyor._runtime.event_bus import EventBus
    from conveyor._runtime.transient import Outage
    from conveyor._services.flows import ChildJob, FromThread
    from conveyor._services.handlers import HandlerRegistry
    from conveyor._services.services import Services
    from conveyor.contracts.clock import Clock
    from conveyor.contracts.middleware import Middleware
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.contracts.store import Store
    from conveyor.model.retention import Retention
    from conveyor.model.retry import Curve
    from conveyor.model.schedules.values import ScheduleData
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["Crew", "Equipment", "Loop"]


class Loop(Protocol):
    """One that works until it is cancelled."""

    async def run(self) -> None:
        """Work."""
        ...


@define
class Equipment:
    """What a worker is given by the app."""

    store: Store
    handlers: HandlerRegistry
    middleware: Sequence[Middleware]
    curves: Mapping[str, Curve]
    event_bus: EventBus
    clock: Clock
    retention: Retention
    outage: Outage
    find_undeclared: Callable[[], Awaitable[Sequence[ScheduleData]]]
    get_state: Callable[[], Any]
    payload_codec: PayloadCodec | None
    services: Services


class Crew:
    """The parts of one worker: the fetcher brings jobs to the board, slots take them, the settler writes their ends."""

    def __init__(
        self, equipment: Equipment, weights: Mapping[str, int], options: WorkerOptions, listener: RunListener | None
    ) -> None:
        """Make them; nothing is opened yet. Must be called inside the event loop."""
        store, outage = equipment.store, equipment.outage
        settler_wakeup = Wakeup()
        trust = Trust(options.lock_duration)
        self.session = Session(store, describe_session(weights, options), options.lock_duration, outage)
        self.board = Board(
            self.session.info.id, Outbox(settler_wakeup), most_starts=options.max_jobs, listener=listener
        )
        self.fetcher = Fetcher(store, self.board, self.session, options, trust=trust, outage=outage)
        self.suspects = Suspects(store, self.board, self.fetcher, options, outage=outage)
        self.settler = Settler(store, self.board, self.fetcher, options, wakeup=settler_wakeup, outage=outage)
        self.watchdog = Watchdog(store.sessions.thread_renewal(), self.session.info.id, options)
        self.renewer = LockRenewer(
            store,
            self.board,
            self.session,
            options,
            trust=trust,
            fetcher=self.fetcher,
            watchdog=self.watchdog,
            outage=outage,
        )
        self.promoter = Promoter(store, lambda: self.fetcher.queue_names, equipment.clock, options, outage=outage)
        self.ticker = Ticker(store, options, equipment.find_undeclared, outage=outage)
        self.limit_watcher = LimitWatcher(
            store.limits, self.fetcher, self.board.guarded, equipment.clock, options, outage=outage
        )
        self.deadlines = Deadlines()
        self.executor = self._make_executor(equipment, options)
        stall_detector = StallDetector(store, equipment.services, options, outage=outage)
        retainer = Retainer(
            store, tuple(weights), equipment.retention, options, services=equipment.services, outage=outage
        )
        self.loops: Sequence[Loop] = (
            self.renewer,
            stall_detector,
            retainer,
            self.promoter,
            self.ticker,
            Flusher(equipment.services, outage=outage),
            self.limit_watcher,
            self.deadlines,
            self.fetcher,
            self.suspects,
            self.settler,
        )

    def _make_executor(self, equipment: Equipment, options: WorkerOptions) -> Executor:
        store, codec = equipment.store, equipment.payload_codec
        return Executor(
            equipment.handlers,
            equipment.middleware,
            Endings(equipment.curves, options.max_stalled),
            self.board,
            self.deadlines,
            threads=HandlerThreads(anyio.CapacityLimiter(math.inf)),
            means=RunMeans(
                TransactionOpener(store, options.lock_duration / 3, self.settler.finish_flush, equipment.outage, codec),
                partial(
                    RunFlows,
                    store,
                    equipment.handlers,
                    payload_codec=codec,
                    middleware=equipment.middleware,
                    from_thread=_from_thread(),
                ),
                equipment.get_state,
                codec,
                self.renewer.note_life,
            ),
        )


def _from_thread() -> FromThread:
    """Return what a thread of this event loop asks the store by."""
    token = anyio.lowlevel.current_token()

    def ask(question: Callable[[], Coroutine[Any, Any, Sequence[ChildJob]]]) -> Sequence[ChildJob]:
        return anyio.from_thread.run(question, token=token)

    return ask
