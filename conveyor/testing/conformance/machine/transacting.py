"""The rules of transactions: what a run writes takes effect with its end, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from conveyor.errors import LockLostError
from conveyor.model.job import LogEntry
from conveyor.testing.conformance.books import Books
from conveyor.testing.conformance.machine.bench import MachineBench
from conveyor.testing.conformance.machine.draws import IDS, Description, End, descriptions, ends, numbers
from conveyor.testing.conformance.machine.reference import Written
from conveyor.testing.conformance.machine.tables import view_of

if TYPE_CHECKING:
    from conveyor.contracts.store import OpenTransaction
    from conveyor.model.locks import Lock
    from conveyor.model.queries import AddReceipt
    from conveyor.model.settlement import Settlement

__all__ = ["TransactingRules"]


class TransactingRules(MachineBench):
    """What runs do in transactions; without a capable store there are no books, and nothing is drawn."""

    books: Books | None = None

    @precondition(lambda self: self.books is not None and self.held)
    @rule(number=numbers, described=st.lists(descriptions, max_size=2), end=ends)
    def commit(self, number: int, described: list[Description], end: End) -> None:
        """Write in a run's transaction, and end the run with it."""
        lock = self.held[number % len(self.held)]
        self.transact(lock, described, self.settlement(lock, end))

    @precondition(lambda self: self.books is not None and self.locks)
    @rule(numbers=st.tuples(numbers, numbers), described=st.lists(descriptions, max_size=2), end=st.none() | ends)
    def commit_nothing(self, numbers: tuple[int, int], described: list[Description], end: End | None) -> None:
        """Write under one lock, maybe one that was lost, and end with the end of another run, or not at all."""
        lock, other = (self.lock(number) for number in numbers)
        self.transact(lock, described, None if end is None else self.settlement(other, end))

    @property
    def held(self) -> list[Lock]:
        """The locks that hold a job."""
        return [lock for lock in self.locks if self.reference.held(lock)]

    def transact(self, lock: Lock, described: list[Description], settlement: Settlement | None) -> None:
        """Do so in both, and compare."""
        written = Written(lock, self.next_row(), [self.new(*one) for one in self.free(described)])
        is_held = self.reference.held(lock) is not None
        answer = self.ask(self._transact(written, settlement))
        assert answer == (self.reference.transact(written, settlement) if is_held else None)

    def next_row(self) -> str:
        """Return a row that was not written yet."""
        return f"{len(self.reference.written):04}"

    async def _transact(self, written: Written, settlement: Settlement | None) -> tuple[list[AddReceipt], bool] | None:
        """Return what the adds answered and whether all was committed, or None where it could not be begun."""
        assert self.books is not None, "there are no books to write in"
        try:
            async with self.books.begun(written.lock) as transaction:
                assert await self.books.titles_in(transaction.connection) == self.reference.written
                added = await self._write_in(transaction, written)
                # Nobody else sees any of it yet.
                expected = self.reference.views()
                found = await self.workshop.jobs.find_jobs([*IDS, *(expected.keys() - set(IDS))])
                assert {job_id: view_of(job) for job_id, job in found.items()} == expected
                return added, await _end(transaction, written, settlement)
        except LockLostError:
            return None

    async def _write_in(self, transaction: OpenTransaction, written: Written) -> list[AddReceipt]:
        assert self.books is not None
        await self.books.write(transaction.connection, written.row)
        receipts = await self.workshop.jobs.save_jobs_in(transaction.connection, written.jobs)
        return list(receipts)


async def _end(transaction: OpenTransaction, written: Written, settlement: Settlement | None) -> bool:
    if settlement is None:
        await transaction.roll_back()
        return False
    try:
        await transaction.commit(settlement, [LogEntry(written.lock.job_id, "sold", lock=written.lock)])
    except LockLostError:
        return False
    return True
