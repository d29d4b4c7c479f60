"""The writer thread: everything queued goes into one transaction, and all answers go back in one wake-up."""

from __future__ import annotations

import queue
import sqlite3
import threading
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, TypeVarTuple

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from conveyor._builtin.sqlite.driver_errors import store_error
from conveyor._builtin.sqlite.operations import AnyOperation, Item, Operation, run_group
from conveyor._builtin.sqlite.rows import to_micros
from conveyor._builtin.sqlite.transaction import Transaction
from conveyor._builtin.sqlite.writing import WritingConnection
from conveyor.errors import StoreError, StoreUnavailableError
from conveyor.model.events import Notification, NotificationKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conveyor._builtin.sqlite.checkpoints import Checkpointer
    from conveyor._builtin.sqlite.loop import EventLoop
    from conveyor._builtin.sqlite.peers import Peers
    from conveyor._builtin.sqlite.watched_file import WatchedFile
    from conveyor.contracts.clock import Clock
    from conveyor.contracts.runtime import Logger

__all__ = ["Writer"]

S = TypeVar("S")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_LARGEST_GROUP: Final = 500
_CLOSE_SECONDS: Final = 30.0
# Each time wakes the thread, so not after every transaction.
_CHANGES_TOLD: Final = 4_000
_ANYTHING: Final = (Notification(NotificationKind.ANYTHING),)


class _Gathering:
    """Operations that are handed to the thread together."""

    __slots__ = ("done", "operations")

    def __init__(self) -> None:
        self.operations: list[AnyOperation] = []
        self.done = anyio.Event()


class _Signal(Enum):
    STOP = "stop"


# An int: so many rows were changed on another connection of this store.
_Queued: TypeAlias = "_Gathering | anyio.Event | _Signal | int"


class Writer:
    """Runs operations on a thread of its own.

    An operation is a function of a `Transaction`. Those that wait together share one commit. Once queued, an
    operation cannot be cancelled: whether it took effect is always known.
    """

    def __init__(
        self,
        file: WatchedFile,
        connect: Callable[[], sqlite3.Connection],
        *,
        prepare: Callable[[sqlite3.Connection], None],
        clock: Clock,
        loop: EventLoop,
        peers: Peers,
        checkpointer: Checkpointer,
        logger: Logger,
    ) -> None:
        path = file.path
        self._file = file
        self._path = path
        self._writing = WritingConnection(
            file,
            connect,
            prepare=prepare,
            checkpointer=checkpointer,
            logger=logger,
            on_opened=self._note_opened,
        )
        self._clock = clock
        self._loop = loop
        self._peers = peers
        self._gathering: _Gathering | None = None
        # Gatherings not answered yet, and whether the next operation is expected to have no company.
        self._in_flight = 0
        self._is_quiet = False
        self._written_elsewhere = 0
        self._queue: queue.SimpleQueue[_Queued] = queue.SimpleQueue()
        self._ended = anyio.Event()
        self._thread = threading.Thread(target=self._main, name=f"conveyor-sqlite {path.name}", daemon=True)
        self._is_open = False
        self._has_stopped = False
        self._is_full = False
        self._is_waiting = False
        self._lookers: list[anyio.Event] = []
        self._ready = anyio.Event()
        self._connect_error: Exception | None = None
        self._on_hints: Callable[[Sequence[Notification]], None] = lambda _: None

    async def open(self, on_hints: Callable[[Sequence[Notification]], None]) -> None:
        """Start the thread and connect.

        Args:
            on_hints: called on the event loop with what was published by a commit.
        """
        self._on_hints = on_hints
        self._is_open = True
        self._file.on_doubt = self._wake
        self._thread.start()
        with anyio.CancelScope(shield=True):
            await self._ready.wait()
        if self._connect_error is not None:
            self._is_open = False
            raise self._connect_error

    async def close(self) -> None:
        """Finish what is queued and end the thread."""
        if not self._is_open:
            return
        self._is_open = False
        self._hand_over()
        self._queue.put(_Signal.STOP)
        # It tells by itself, and is not joined in a thread: a program that is ending can start none.
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._ended.wait()

    async def look(self) -> None:
        """Wait until the thread has looked at what other processes did; it goes on looking while peers want it."""
        self._check_open()
        looked = anyio.Event()
        self._queue.put(looked)
        await looked.wait()

    async def run(self, work: Callable[[Transaction, *Ts], T], *args: *Ts) -> T:
        """Run an operation in the next group and return what it returns, or raise what it raises.

        Raises:
            StoreError: the store is closed, or the driver failed; nothing of the operation took effect.
        """
        return await self._run(Operation(lambda transaction: work(transaction, *args)))

    async def run_passing(self, work: Callable[[Transaction, *Ts], T], *args: *Ts) -> T:
        """Do the same for what need not survive a loss of power: who holds a lock, when no holder is left then.

        Such a commit does not wait for the disk; the next one that does takes it along.
        """
        return await self._run(Operation(lambda transaction: work(transaction, *args), must_last=False))

    async def let_pass(self) -> None:
        """Return once all that waits for the thread now is done."""
        self._check_open()
        if self._in_flight or self._gathering is not None:
            await self.run_passing(_nothing)

    def note_written(self, changes: int) -> None:
        """Take note of rows that were changed on another connection of this store: checkpoints keep pace with them."""
        self._written_elsewhere += changes
        if self._written_elsewhere >= _CHANGES_TOLD and self._is_open:
            self._queue.put(self._written_elsewhere)
            self._written_elsewhere = 0

    async def run_item(self, many: Callable[[Transaction, Sequence[S]], Sequence[T]], item: S) -> T:
        """Do the same for one item of many: concurrent calls become one call of `many`, which answers each.

        It must bear being cancelled without an answer, as an add does: a shield for each of a hundred callers
        costs as much as what they do.
        """
        operation = Item(many, item)
        await checkpoint_if_cancelled()
        await self._gather(operation).done.wait()
        return _answer(operation)

    def post(self, work: Callable[[Transaction, *Ts], object], *args: *Ts) -> None:
        """Have an operation run in the next group, for nobody who waits; whether it failed is not told."""
        if self._is_open:
            self._gather(Operation[object](lambda transaction: work(transaction, *args), must_last=False))

    async def _run(self, operation: Operation[T]) -> T:
        await checkpoint_if_cancelled()
        gathering = self._gather(operation)
        with anyio.CancelScope(shield=True):
            await gathering.done.wait()
        return _answer(operation)

    def _gather(self, operation: AnyOperation) -> _Gathering:
        self._check_open()
        gathering = self._gathering
        if gathering is not None:
            gathering.operations.append(operation)
            return gathering
        gathering = self._gathering = _Gathering()
        gathering.operations.append(operation)
        if self._is_quiet:
            # The last one had no company, so this one waits for none.
            self._is_quiet = False
            self._hand_over()
        else:
            # Not at once: those who run in the same turn of the event loop join in. One hand-over and one
            # commit for a hundred callers, and no race of the two threads for the interpreter.
            self._loop.post(self._hand_over)
        return gathering

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreError(f"the store of {str(self._path)!r} is closed")

    def _hand_over(self) -> None:
        if self._gathering is not None:
            self._in_flight += 1
            self._queue.put(self._gathering)
            self._gathering = None

    def _wake(self) -> None:
        self._queue.put(anyio.Event())

    def _deliver(self, gatherings: Sequence[_Gathering], hints: Sequence[Notification]) -> None:
        self._in_flight -= len(gatherings)
        for gathering in gatherings:
            gathering.done.set()
        if hints:
            self._on_hints(hints)
        was_alone = len(gatherings) == 1 and len(gatherings[0].operations) == 1
        self._is_quiet = was_alone and not self._in_flight and self._gathering is None

    # From here on: the writer thread.

    def _main(self) -> None:
        try:
            self._writing.open()
        except Exception as exc:  # noqa: BLE001 - whoever opens the store gets it
            self._connect_error = self._translated(exc)
            self._loop.post(self._ready.set)
            return
        self._loop.post(self._ready.set)
        try:
            while not self._has_stopped:
                if gatherings := self._take():
                    self._run_gatherings(gatherings)
                else:
                    self._writing.look()
                if self._writing.connection is not None:
                    self._peers.look(self._writing.connection)
                self._tell_lookers()
        finally:
            self._peers.stop_sending()
            self._writing.close()
            self._loop.post(self._ended.set)

    def _note_opened(self, connection: sqlite3.Connection) -> None:
        # 2 is FULL: the store was asked to survive a loss of power.
        self._is_full = self._is_waiting = connection.execute("pragma synchronous").fetchone()[0] == 2
        if self._file.generation > 1:
            # The file was replaced by another: whatever was known of the old one may be wrong.
            self._loop.post(self._on_hints, _ANYTHING)

    def _take(self) -> Sequence[_Gathering]:
        """Wait for something to do, and return all that there is by then."""
        taken: list[_Gathering] = []
        count = 0
        try:
            item = self._queue.get(timeout=self._peers.wait_seconds)
            while True:
                if isinstance(item, _Gathering):
                    taken.append(item)
                    count += len(item.operations)
                elif isinstance(item, anyio.Event):
                    self._lookers.append(item)
                elif isinstance(item, int):
                    self._writing.note_written(item)
                else:
                    self._has_stopped = True
                if self._has_stopped or count >= _LARGEST_GROUP:
                    return taken
                item = self._queue.get_nowait()
        except queue.Empty:
            return taken

    def _run_gatherings(self, gatherings: Sequence[_Gathering]) -> None:
        group = [operation for gathering in gatherings for operation in gathering.operations]
        hints: Sequence[Notification] = ()
        try:
            connection = self._writing.get()
            self._wait_for_disk(connection, any(operation.must_last for operation in group))
            hints = run_group(lambda: self._begin(connection), group, self._translated)
            self._writing.confirm()
        except Exception as exc:  # noqa: BLE001 - every caller gets it, and the thread lives on
            self._writing.roll_back()
            for operation in group:
                # One error each: a traceback grows wherever an error is raised.
                operation.error = self._translated(exc)
        self._loop.post(self._deliver, gatherings, hints)
        if hints:
            self._peers.send(hints)
        self._writing.checkpoint()

    def _wait_for_disk(self, connection: sqlite3.Connection, must_last: bool) -> None:
        if self._is_full and must_last is not self._is_waiting:
            connection.execute(f"pragma synchronous = {'full' if must_last else 'normal'}")
            self._is_waiting = must_last

    def _begin(self, connection: sqlite3.Connection) -> Transaction:
        connection.execute("begin immediate")
        # Asked for after the lock was got: times follow the order of commits.
        return Transaction(connection, to_micros(self._clock.now()))

    def _tell_lookers(self) -> None:
        for looked in self._lookers:
            self._loop.post(looked.set)
        self._lookers.clear()

    def _translated(self, exc: Exception) -> Exception:
        if isinstance(exc, StoreUnavailableError):
            return StoreUnavailableError(str(exc))
        return store_error(exc, self._path) if isinstance(exc, sqlite3.Error) else exc


def _nothing(_: Transaction) -> None:
    """Take part in a group, to know when it is over."""


def _answer(operation: Operation[T]) -> T:
    if operation.error is not None:
        raise operation.error
    return operation.value
