"""The writer thread: everything queued goes into one transaction, and all answers go back in one wake-up."""

from __future__ import annotations

import queue
import sqlite3
import threading
from enum import Enum
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint_if_cancelled

from conveyor._builtin.sqlite.driver_errors import store_error
from conveyor._builtin.sqlite.rows import to_micros
from conveyor._builtin.sqlite.statements import sql
from conveyor.errors import StoreError
from conveyor.model.events import Notification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from conveyor._builtin.sqlite.checkpoints import Checkpointer
    from conveyor._builtin.sqlite.loop import EventLoop
    from conveyor._builtin.sqlite.peers import Peers
    from conveyor.contracts.clock import Clock
    from conveyor.model.events import NotificationKind

__all__ = ["Transaction", "Writer"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Ts = TypeVarTuple("Ts")

_LARGEST_GROUP: Final = 500
_CLOSE_SECONDS: Final = 30.0


class Transaction:
    """What an operation works with: the connection, the store's now, and the hints to send after the commit.

    An operation touches nothing else: it may be run a second time after a rollback.
    """

    __slots__ = ("_next_seq", "_queues", "connection", "hints", "now")

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self.connection = connection
        self.now = now
        self.hints: dict[Notification, None] = {}
        self._next_seq = 0
        self._queues: set[str] = set()

    def hint(self, kind: NotificationKind, queue_name: str = "", job_id: str = "") -> None:
        """Publish this after the commit; equal hints of a group count as one."""
        self.hints[Notification(kind, queue_name, job_id)] = None

    def make_queue(self, queue_name: str) -> None:
        """Make a queue known, if it is not; asked once per group."""
        if queue_name not in self._queues:
            self.connection.execute(sql("jobs/save_jobs_queue"), (queue_name,))
            self._queues.add(queue_name)

    def forget_queue(self, queue_name: str) -> None:
        """Forget a queue; whoever adds to it later in the group makes it anew."""
        self.connection.execute(sql("queues/obliterate_queue"), (queue_name,))
        self._queues.discard(queue_name)

    def undo(self, hints: dict[Notification, None]) -> None:
        """Return to these hints after a rollback to a savepoint."""
        self.hints = hints
        self._queues.clear()

    def take_seqs(self, count: int) -> range:
        """Return the next numbers in the order of jobs. No other process can take them: we hold the write lock."""
        if not self._next_seq:
            (highest,) = self.connection.execute("select max(seq) from jobs").fetchone()
            self._next_seq = (highest or 0) + 1
        first = self._next_seq
        self._next_seq += count
        return range(first, self._next_seq)


class _Operation(Generic[T_co]):
    """One call that waits for its turn, and later for its answer."""

    __slots__ = ("done", "error", "value", "work")

    value: T_co

    def __init__(self, work: Callable[[Transaction], T_co]) -> None:
        self.work = work
        self.done = anyio.Event()
        self.error: Exception | None = None

    def run(self, transaction: Transaction) -> None:
        self.value = self.work(transaction)


class _Signal(Enum):
    STOP = "stop"


_Group: TypeAlias = "Sequence[_Operation[object]]"


class _Failed(Exception):  # noqa: N818 - a way out of a group, caught a few lines on
    """An operation failed after it had written, so the group is run again with savepoints."""


class Writer:
    """Runs operations on a thread of its own.

    An operation is a function of a `Transaction`. Those that wait together share one commit. Once queued, an
    operation cannot be cancelled: whether it took effect is always known.
    """

    def __init__(
        self,
        path: Path,
        connect: Callable[[], sqlite3.Connection],
        *,
        clock: Clock,
        loop: EventLoop,
        peers: Peers,
        checkpointer: Checkpointer,
    ) -> None:
        self._path = path
        self._connect = connect
        self._clock = clock
        self._loop = loop
        self._peers = peers
        self._checkpointer = checkpointer
        self._gathering: list[_Operation[object]] = []
        self._queue: queue.SimpleQueue[_Group | anyio.Event | _Signal] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name=f"conveyor-sqlite {path.name}", daemon=True)
        self._is_open = False
        self._has_stopped = False
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
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await anyio.to_thread.run_sync(self._thread.join, _CLOSE_SECONDS, abandon_on_cancel=True)

    async def look(self) -> None:
        """Wait until the thread has looked at what other processes did; it goes on looking while peers want it."""
        if not self._is_open:
            raise StoreError(f"the store of {str(self._path)!r} is closed")
        looked = anyio.Event()
        self._queue.put(looked)
        await looked.wait()

    async def run(self, work: Callable[[Transaction, *Ts], T], *args: *Ts) -> T:
        """Run an operation in the next group and return what it returns, or raise what it raises.

        Raises:
            StoreError: the store is closed, or the driver failed; nothing of the operation took effect.
        """
        await checkpoint_if_cancelled()
        if not self._is_open:
            raise StoreError(f"the store of {str(self._path)!r} is closed")
        operation = _Operation(lambda transaction: work(transaction, *args))
        if not self._gathering:
            # Not at once: those who run in the same turn of the event loop join the group. One hand-over and
            # one commit for a hundred callers, and no race of the two threads for the interpreter.
            self._loop.post(self._hand_over)
        self._gathering.append(operation)
        with anyio.CancelScope(shield=True):
            await operation.done.wait()
        if operation.error is not None:
            raise operation.error
        return operation.value

    def _hand_over(self) -> None:
        if self._gathering:
            self._queue.put(self._gathering)
            self._gathering = []

    # From here on: the writer thread.

    def _main(self) -> None:
        try:
            connection = self._connect()
        except sqlite3.Error as exc:
            self._connect_error = store_error(exc, self._path)
        except StoreError as exc:
            self._connect_error = exc
        self._loop.post(self._ready.set)
        if self._connect_error is not None:
            return
        try:
            while not self._has_stopped:
                if group := self._take():
                    self._run_group(connection, group)
                self._peers.look(connection)
                self._tell_lookers()
        finally:
            self._peers.stop_sending()
            connection.close()

    def _take(self) -> _Group:
        group: list[_Operation[object]] = []
        try:
            item = self._queue.get(timeout=self._peers.wait_seconds)
            while True:
                if isinstance(item, _Signal):
                    self._has_stopped = True
                    break
                if isinstance(item, anyio.Event):
                    self._lookers.append(item)
                else:
                    group += item
                if len(group) >= _LARGEST_GROUP:
                    break
                item = self._queue.get_nowait()
        except queue.Empty:
            pass
        return group

    def _tell_lookers(self) -> None:
        for looked in self._lookers:
            self._loop.post(looked.set)
        self._lookers.clear()

    def _run_group(self, connection: sqlite3.Connection, group: _Group) -> None:
        hints: Sequence[Notification] = ()
        try:
            hints = self._commit_group(connection, group)
        except Exception as exc:  # noqa: BLE001 - every caller gets it, and the thread lives on
            self._fail_group(connection, group, exc)
        self._loop.post(self._deliver, group, hints)
        if hints:
            self._peers.send(hints)
        try:
            self._checkpointer.after_commit(connection)
        except (sqlite3.Error, OSError):
            return  # the log grows until it works; what is wrong with the disk, the next commit says

    def _commit_group(self, connection: sqlite3.Connection, group: _Group) -> Sequence[Notification]:
        try:
            transaction = self._begin(connection)
            for operation in group:
                _run_optimistically(transaction, operation, is_alone=len(group) == 1)
        except _Failed:
            # Savepoints cost a third of a small operation, so only a group in which one failed pays for them.
            _roll_back(connection)
            transaction = self._begin(connection)
            for operation in group:
                self._run_in_savepoint(transaction, operation)
        connection.execute("commit")
        return tuple(transaction.hints)

    def _begin(self, connection: sqlite3.Connection) -> Transaction:
        connection.execute("begin immediate")
        # Asked for after the lock was got: times follow the order of commits.
        return Transaction(connection, to_micros(self._clock.now()))

    def _run_in_savepoint(self, transaction: Transaction, operation: _Operation[object]) -> None:
        connection = transaction.connection
        hints = dict(transaction.hints)
        operation.error = None
        connection.execute("savepoint operation")
        try:
            operation.run(transaction)
        except Exception as exc:
            if not connection.in_transaction:
                raise  # SQLite gave up the whole transaction (disk full, I/O error)
            connection.execute("rollback to operation")
            transaction.undo(hints)
            operation.error = self._translated(exc)
        connection.execute("release operation")

    def _fail_group(self, connection: sqlite3.Connection, group: _Group, exc: Exception) -> None:
        _roll_back(connection)
        for operation in group:
            # One error each: a traceback grows wherever an error is raised.
            operation.error = self._translated(exc) if isinstance(exc, sqlite3.Error) else exc

    def _translated(self, exc: Exception) -> Exception:
        return store_error(exc, self._path) if isinstance(exc, sqlite3.Error) else exc

    # On the event loop again.

    def _deliver(self, group: _Group, hints: Sequence[Notification]) -> None:
        for operation in group:
            operation.done.set()
        if hints:
            self._on_hints(hints)


def _run_optimistically(transaction: Transaction, operation: _Operation[object], *, is_alone: bool) -> None:
    changes = transaction.connection.total_changes
    hints = len(transaction.hints)
    try:
        operation.run(transaction)
    except sqlite3.Error as exc:
        if is_alone:
            raise
        raise _Failed from exc
    except Exception as exc:
        if transaction.connection.total_changes != changes or len(transaction.hints) != hints:
            raise _Failed from exc
        operation.error = exc  # it had written nothing, so there is nothing to undo


def _roll_back(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("rollback")
    except sqlite3.Error:
        return  # SQLite rolls back by itself where it can no more; the next group is told if it cannot begin
