"""The writer thread: everything queued goes into one transaction, and all answers go back in one wake-up."""

from __future__ import annotations

import queue
import sqlite3
import threading
from enum import Enum
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar, TypeVarTuple

import anyio
from anyio.lowlevel import checkpoint_if_cancelled, current_token

from conveyor._builtin.sqlite.driver_errors import store_error
from conveyor._builtin.sqlite.rows import to_micros
from conveyor.errors import StoreError
from conveyor.model.events import Notification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from conveyor._builtin.sqlite.checkpoints import Checkpointer
    from conveyor._builtin.sqlite.peers import Peers
    from conveyor.contracts.clock import Clock
    from conveyor.model.events import NotificationKind

__all__ = ["Transaction", "Writer", "loop_poster"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Post: TypeAlias = "Callable[..., object]"

_LARGEST_GROUP: Final = 500
_CLOSE_SECONDS: Final = 30.0


def loop_poster() -> Post:
    """Return what runs a function soon on the event loop that is running here, called from any thread."""
    native = current_token().native_token
    post: Post | None = getattr(native, "run_sync_soon", None) or getattr(native, "call_soon_threadsafe", None)
    if post is None:
        raise StoreError(f"the event loop of {type(native).__name__} cannot be woken from a thread")
    return post


class Transaction:
    """What an operation works with: the connection, the store's now, and the hints to send after the commit.

    An operation touches nothing else: it may be run a second time after a rollback.
    """

    __slots__ = ("_next_seq", "connection", "hints", "now")

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self.connection = connection
        self.now = now
        self.hints: dict[Notification, None] = {}
        self._next_seq = 0

    def hint(self, kind: NotificationKind, queue_name: str = "", job_id: str = "") -> None:
        """Publish this after the commit; equal hints of a group count as one."""
        self.hints[Notification(kind, queue_name, job_id)] = None

    def take_seqs(self, count: int) -> range:
        """Return the next numbers in the order of jobs. No other process can take them: we hold the write lock."""
        if not self._next_seq:
            (highest,) = self.connection.execute("select max(seq) from jobs").fetchone()
            self._next_seq = (highest or 0) + 1
        first = self._next_seq
        self._next_seq += count
        return range(first, self._next_seq)


class _Operation(Generic[T]):
    """One call that waits for its turn, and later for its answer."""

    __slots__ = ("done", "error", "value", "work")

    value: T

    def __init__(self, work: Callable[[Transaction], T]) -> None:
        self.work = work
        self.done = anyio.Event()
        self.error: Exception | None = None

    def run(self, transaction: Transaction) -> None:
        self.value = self.work(transaction)


class _Signal(Enum):
    STOP = "stop"
    LOOK = "look"


_Group: TypeAlias = "Sequence[_Operation[object]]"


class _Failed(Exception):  # noqa: N818 - a way out of a group, caught a few lines on
    """An operation failed after it had written, so the group is run again with savepoints."""


class Writer:
    """Runs operations on a thread of its own.

    An operation is a function of a `Transaction`. Those that wait together share one commit. Once queued, an
    operation cannot be cancelled: whether it took effect is always known.
    """

    def __init__(
        self, path: Path, connect: Callable[[], sqlite3.Connection], *, clock: Clock, peers: Peers, checkpointer: Checkpointer
    ) -> None:
        self._path = path
        self._connect = connect
        self._clock = clock
        self._peers = peers
        self._checkpointer = checkpointer
        self._queue: queue.SimpleQueue[_Operation[object] | _Signal] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name=f"conveyor-sqlite {path.name}", daemon=True)
        self._is_open = False
        self._has_stopped = False
        self._ready = anyio.Event()
        self._connect_error: Exception | None = None
        self._post: Post = loop_poster()
        self._on_hints: Callable[[Sequence[Notification]], None] = lambda hints: None

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
        self._queue.put(_Signal.STOP)
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await anyio.to_thread.run_sync(self._thread.join, _CLOSE_SECONDS, abandon_on_cancel=True)

    def look(self) -> None:
        """Make the thread see that somebody listens now, or nobody any more."""
        self._queue.put(_Signal.LOOK)

    async def run(self, work: Callable[[Transaction, *Ts], T], *args: *Ts) -> T:
        """Run an operation in the next group and return what it returns, or raise what it raises.

        Raises:
            StoreError: the store is closed, or the driver failed; nothing of the operation took effect.
        """
        await checkpoint_if_cancelled()
        if not self._is_open:
            raise StoreError(f"the store of {str(self._path)!r} is closed")
        operation = _Operation(lambda transaction: work(transaction, *args))
        self._queue.put(operation)
        with anyio.CancelScope(shield=True):
            await operation.done.wait()
        if operation.error is not None:
            raise operation.error
        return operation.value

    # From here on: the writer thread.

    def _main(self) -> None:
        try:
            connection = self._connect()
        except sqlite3.Error as exc:
            self._connect_error = store_error(exc, self._path)
        except StoreError as exc:
            self._connect_error = exc
        self._answer(self._ready.set)
        if self._connect_error is not None:
            return
        try:
            while not self._has_stopped:
                if group := self._take():
                    self._run_group(connection, group)
                self._peers.look(connection)
        finally:
            connection.close()

    def _take(self) -> _Group:
        group: list[_Operation[object]] = []
        try:
            item = self._queue.get(timeout=self._peers.wait_seconds)
            while True:
                if isinstance(item, _Operation):
                    group.append(item)
                elif item is _Signal.STOP:
                    self._has_stopped = True
                    break
                if len(group) >= _LARGEST_GROUP:
                    break
                item = self._queue.get_nowait()
        except queue.Empty:
            pass
        return group

    def _run_group(self, connection: sqlite3.Connection, group: _Group) -> None:
        hints: Sequence[Notification] = ()
        try:
            hints = self._commit_group(connection, group)
        except Exception as exc:  # noqa: BLE001 - every caller gets it, and the thread lives on
            self._fail_group(connection, group, exc)
        self._answer(self._deliver, group, hints)
        if hints:
            self._peers.send(hints)

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
        except Exception as exc:  # noqa: BLE001 - its caller gets it
            if not connection.in_transaction:
                raise  # SQLite gave up the whole transaction (disk full, I/O error)
            connection.execute("rollback to operation")
            transaction.hints = hints
            operation.error = self._translated(exc)
        connection.execute("release operation")

    def _fail_group(self, connection: sqlite3.Connection, group: _Group, exc: Exception) -> None:
        _roll_back(connection)
        for operation in group:
            # One error each: a traceback grows wherever an error is raised.
            operation.error = self._translated(exc) if isinstance(exc, sqlite3.Error) else exc

    def _translated(self, exc: Exception) -> Exception:
        return store_error(exc, self._path) if isinstance(exc, sqlite3.Error) else exc

    def _answer(self, function: Callable[[*Ts], object], *args: *Ts) -> None:
        try:
            self._post(function, *args)
        except RuntimeError:
            pass  # the event loop is gone, and with it everybody who waited

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
    if connection.in_transaction:
        connection.execute("rollback")
