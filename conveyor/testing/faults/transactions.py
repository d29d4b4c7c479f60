"""Transactions over a faulty line: begin, each statement and the end may fail, before they take effect or after."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from conveyor.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from conveyor.contracts.store import OpenTransaction, TransactionConnection, TransactionStore
    from conveyor.contracts.store.transactions import Row
    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import BatchStep
    from conveyor.model.job import LogEntry, ProgressReport
    from conveyor.model.locks import Lock
    from conveyor.model.settlement import Settlement
    from conveyor.testing.faults.line import FaultyLine

__all__ = ["FaultyTransactions", "bare"]

FACET: Final = "transactions"


class FaultyTransactions:
    """A `TransactionStore`. Where a line breaks, a database rolls back what nobody can end any more: so does this."""

    def __init__(self, line: FaultyLine, whole: TransactionStore) -> None:
        self._line = line
        self._whole = whole

    async def begin(self, lock: Lock, longest: timedelta, /) -> OpenTransaction:
        """Begin; where that is not answered, nothing stays open."""
        begun: list[OpenTransaction] = []

        async def begin() -> OpenTransaction:
            begun.append(await self._whole.begin(lock, longest))
            return begun[-1]

        try:
            whole = await self._line.call(FACET, "begin", begin)
        except StoreUnavailableError:
            for transaction in begun:
                await transaction.roll_back()
            raise
        return _FaultyTransaction(self._line, whole)


class _FaultyTransaction:
    """An `OpenTransaction`."""

    def __init__(self, line: FaultyLine, whole: OpenTransaction) -> None:
        self.connection: TransactionConnection = _FaultyConnection(line, whole.connection)
        self._line = line
        self._whole = whole

    async def commit(
        self, settlement: Settlement, /, logs: Sequence[LogEntry] = (), progress: Sequence[ProgressReport] = ()
    ) -> None:
        """Commit; where that is not answered, it took effect (LOSE_ANSWER) or did not (FAIL_BEFORE)."""
        await self._line.call(FACET, "commit", partial(self._whole.commit, settlement, logs, progress))

    async def commit_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        """Commit with a step; where that is not answered, as `commit`."""
        return await self._line.call(FACET, "commit_step", partial(self._whole.commit_step, batch_id, run, step))

    async def roll_back(self) -> None:
        """Roll back, also where the line breaks meanwhile."""
        try:
            await self._line.call(FACET, "roll_back", self._whole.roll_back)
        except StoreUnavailableError:
            await self._whole.roll_back()
            raise


class _FaultyConnection:
    """A `TransactionConnection`; `whole` is the one within."""

    def __init__(self, line: FaultyLine, whole: TransactionConnection) -> None:
        self.whole = whole
        self._line = line

    async def execute(self, sql: str, /, *params: object) -> int:
        """Run one statement, unless it fails."""
        return await self._line.call(FACET, "execute", partial(self.whole.execute, sql, *params))

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]], /) -> int:
        """Run one statement for each row, unless it fails."""
        return await self._line.call(FACET, "executemany", partial(self.whole.executemany, sql, rows))

    async def fetch(self, sql: str, /, *params: object) -> list[Row]:
        """Run one statement and return its rows, unless it fails."""
        return await self._line.call(FACET, "fetch", partial(self.whole.fetch, sql, *params))

    async def fetchrow(self, sql: str, /, *params: object) -> Row | None:
        """Run one statement and return its first row, unless it fails."""
        return await self._line.call(FACET, "fetchrow", partial(self.whole.fetchrow, sql, *params))


def bare(value: object) -> object:
    """Return the connection within, of a connection behind a faulty line; anything else as it is."""
    return value.whole if isinstance(value, _FaultyConnection) else value
