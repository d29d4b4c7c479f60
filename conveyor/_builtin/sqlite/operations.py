"""Operations that wait for the writer, and how a group of them runs in one transaction."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from conveyor._builtin.sqlite.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from conveyor.model.events import Notification

__all__ = ["AnyOperation", "Item", "Operation", "roll_back", "run_group"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Operation(Generic[T_co]):
    """One call that waits for its turn, and later for its answer: `value`, unless there is an `error`."""

    __slots__ = ("error", "must_last", "value", "work")

    value: T_co

    def __init__(self, work: Callable[[Transaction], T_co], *, must_last: bool = True) -> None:
        self.work = work
        self.must_last = must_last
        self.error: Exception | None = None

    def run(self, transaction: Transaction) -> None:
        """Do it, on the writer thread."""
        self.value = self.work(transaction)


class Item(Operation[T_co]):
    """A call about one thing whose work is done on many at once: neighbours in a group are done together."""

    __slots__ = ("item", "many")

    def __init__(self, many: Callable[[Transaction, Sequence[T]], Sequence[T_co]], item: T) -> None:
        super().__init__(self._run_alone)
        self.many: Callable[..., Sequence[T_co]] = many
        self.item: object = item

    def _run_alone(self, transaction: Transaction) -> T_co:
        return self.many(transaction, (self.item,))[0]


class _Joined(Operation[None]):
    """Neighbouring items of the same work."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[Item[object]]) -> None:
        super().__init__(self._run_all)
        self.items = items

    def _run_all(self, transaction: Transaction) -> None:
        values = self.items[0].many(transaction, [operation.item for operation in self.items])
        for operation, value in zip(self.items, values, strict=True):
            operation.value = value


AnyOperation: TypeAlias = Operation[object]


class _Failed(Exception):  # noqa: N818 - a way out of a group, caught a few lines on
    """An operation failed after it had written, so the group is run again with savepoints."""


def run_group(
    begin: Callable[[], Transaction], group: Sequence[AnyOperation], translate: Callable[[Exception], Exception]
) -> Sequence[Notification]:
    """Run operations in one transaction and commit it; return what is to be published then.

    An operation that fails gets its error and leaves no trace; the others are not touched by that.

    Raises:
        sqlite3.Error: the transaction as a whole failed: nothing of the group took effect.
    """
    transaction = begin()
    try:
        for operation in _joined(group):
            _run_optimistically(transaction, operation)
    except _Failed:
        # Savepoints cost a third of a small operation, so only a group in which one failed pays for them.
        roll_back(transaction.connection)
        transaction = begin()
        for operation in group:
            _run_in_savepoint(transaction, operation, translate)
    transaction.connection.execute("commit")
    return tuple(transaction.hints)


def _joined(group: Sequence[AnyOperation]) -> Iterator[AnyOperation]:
    items: list[Item[object]] = []
    for operation in group:
        if items and not (isinstance(operation, Item) and operation.many is items[0].many):
            yield _Joined(items)
            items = []
        if isinstance(operation, Item):
            items.append(operation)
        else:
            yield operation
    if items:
        yield _Joined(items)


def _run_optimistically(transaction: Transaction, operation: AnyOperation) -> None:
    changes = transaction.connection.total_changes
    hints = len(transaction.hints)
    operation.error = None
    try:
        operation.run(transaction)
    except Exception as exc:
        is_spotless = transaction.connection.total_changes == changes and len(transaction.hints) == hints
        if isinstance(exc, sqlite3.Error | _Failed) or isinstance(operation, _Joined) or not is_spotless:
            raise _Failed from exc
        operation.error = exc  # it had written nothing, so there is nothing to undo


def _run_in_savepoint(
    transaction: Transaction, operation: AnyOperation, translate: Callable[[Exception], Exception]
) -> None:
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
        operation.error = translate(exc)
    connection.execute("release operation")


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction that must not be committed, if there is one."""
    try:
        if connection.in_transaction:
            connection.execute("rollback")
    except sqlite3.Error:
        return  # SQLite rolls back by itself where it can no more; the next group is told if it cannot begin
