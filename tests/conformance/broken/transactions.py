"""Faults in transactions: a SQLite store whose facet is replaced by one with a fault."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from attrs import evolve

from conveyor.errors import BatchRunLostError, LockLostError
from conveyor.model.locks import Lock
from conveyor.model.queries import AddReceipt
from conveyor.model.states import JobState
from conveyor.testing.faults import FaultyStore
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta
    from pathlib import Path

    from conveyor.contracts.clock import Clock
    from conveyor.contracts.store import OpenTransaction, Store, TransactionStore
    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import BatchStep
    from conveyor.model.flows import FlowPlan
    from conveyor.model.job import LogEntry, ProgressReport
    from conveyor.model.settlement import Settlement

__all__ = ["TransactionFault", "WholeTransactions", "open_broken_transactions"]


class WholeTransactions:
    """The facet as it is. Not a fault, but a place for some."""

    def __init__(self, store: Store, transactions: TransactionStore, file: Path) -> None:
        self._store = store
        self._transactions = transactions
        self.file = file
        self.steps: set[int] = set()

    async def begin(self, lock: Lock, longest: timedelta, /) -> OpenTransaction:
        return self._open(await self._transactions.begin(lock, longest), lock)

    def _open(self, transaction: OpenTransaction, lock: Lock) -> OpenTransaction:
        return transaction


TransactionFault: TypeAlias = "type[WholeTransactions]"
Reports: TypeAlias = "tuple[Sequence[LogEntry], Sequence[ProgressReport]]"


@asynccontextmanager
async def open_broken_transactions(fault: TransactionFault, file: Path, clock: Clock) -> AsyncIterator[Store]:
    """Open a SQLite store that is whole but for its transactions."""
    async with open_store(f"sqlite:///{file}?busy_timeout=200ms", clock=clock) as store:
        assert store.transactions is not None
        broken = FaultyStore(store)
        broken.transactions = fault(store, store.transactions, file)
        yield broken


class _Open:
    """An open transaction as it is."""

    def __init__(self, transaction: OpenTransaction, facet: WholeTransactions, lock: Lock) -> None:
        self.connection = transaction.connection
        self._transaction = transaction
        self._facet = facet
        self._lock = lock

    async def commit(
        self, settlement: Settlement, /, logs: Sequence[LogEntry] = (), progress: Sequence[ProgressReport] = ()
    ) -> None:
        await self._commit(settlement, (logs, progress))

    async def _commit(self, settlement: Settlement, reports: Reports) -> None:
        await self._transaction.commit(settlement, *reports)

    async def commit_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        return await self._transaction.commit_step(batch_id, run, step)

    async def roll_back(self) -> None:
        await self._transaction.roll_back()


class LockNotAskedAtBegin(WholeTransactions):
    """Begins for whoever asks."""

    async def begin(self, lock: Lock, longest: timedelta, /) -> OpenTransaction:
        job = await self._store.jobs.find_job(lock.job_id)
        if job is not None and job.state is JobState.ACTIVE and job.token is not None:
            lock = Lock(job.id, job.token)
        return await super().begin(lock, longest)


class TokenIgnoredAtCommit(WholeTransactions):
    """Commits whosever end it is told."""

    class Open(_Open):
        async def _commit(self, settlement: Settlement, reports: Reports) -> None:
            own = evolve(settlement, job_id=self._lock.job_id, token=self._lock.token)
            await super()._commit(own, reports)

    def _open(self, transaction: OpenTransaction, lock: Lock) -> OpenTransaction:
        return self.Open(transaction, self, lock)


class ReportsForgotten(WholeTransactions):
    """Does not write what the run said."""

    class Open(_Open):
        async def _commit(self, settlement: Settlement, reports: Reports) -> None:
            await super()._commit(settlement, ((), ()))

    def _open(self, transaction: OpenTransaction, lock: Lock) -> OpenTransaction:
        return self.Open(transaction, self, lock)


class _OpenAndWritten(_Open):
    """An open transaction that can write again what was undone."""

    def __init__(self, transaction: OpenTransaction, facet: WholeTransactions, lock: Lock) -> None:
        super().__init__(transaction, facet, lock)
        self.statements: list[str] = []
        execute = transaction.connection.execute

        async def execute_and_remember(sql: str, /, *params: object) -> int:
            changed = await execute(sql, *params)
            self.statements.append(sql)
            return changed

        vars(transaction.connection)["execute"] = execute_and_remember

    def write_again(self) -> None:
        connection = sqlite3.connect(self._facet.file)
        with connection:
            for statement in self.statements:
                connection.execute(statement)
        connection.close()
        self.statements.clear()


class WrittenBesideTheTransaction(WholeTransactions):
    """Keeps what the handler wrote when its run has lost the job."""

    class Open(_OpenAndWritten):
        async def _commit(self, settlement: Settlement, reports: Reports) -> None:
            try:
                await super()._commit(settlement, reports)
            except LockLostError:
                self.write_again()
                raise

    def _open(self, transaction: OpenTransaction, lock: Lock) -> OpenTransaction:
        return self.Open(transaction, self, lock)


class RollbackKeepsTheRows(WholeTransactions):
    """Keeps what the handler wrote when it fails."""

    class Open(_OpenAndWritten):
        async def _commit(self, settlement: Settlement, reports: Reports) -> None:
            await super()._commit(settlement, reports)
            self.statements.clear()

        async def roll_back(self) -> None:
            await super().roll_back()
            self.write_again()

    def _open(self, transaction: OpenTransaction, lock: Lock) -> OpenTransaction:
        return self.Open(transaction, self, lock)


class RollbackKeepsTheFlow(WholeTransactions):
    """Adds a flow when its transaction is over, however that ended."""

    def __init__(self, store: Store, transactions: TransactionStore, file: Path) -> None:
        super().__init__(store, transactions, file)
        self._plans: list[FlowPlan] = []

        async def save_flow_in(_: object, plan: FlowPlan, /) -> Sequence[AddReceipt]:
            self._plans.append(plan)
            return [AddReceipt(job.id) for job in plan.jobs]

        vars(store.flows)["save_flow_in"] = save_flow_in

    async def add_late(self) -> None:
        assert self._store.flows is not None
        while self._plans:
            await self._store.flows.save_flow(self._plans.pop())

    class Open(_Open):
        async def roll_back(self) -> None:
            await super().roll_back()
            assert isinstance(self._facet, RollbackKeepsTheFlow)
            await self._facet.add_late()

    def _open(self, transaction: OpenTransaction, lock: Lock) -> OpenTransaction:
        return self.Open(transaction, self, lock)


class StepsApartFromTheirRows(WholeTransactions):
    """Commits the rows of a step that a zombie may not save."""

    class Open(_OpenAndWritten):
        async def commit_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
            try:
                return await super().commit_step(batch_id, run, step)
            except BatchRunLostError:
                self.write_again()
                raise

    def _open(self, transaction: OpenTransaction, lock: Lock) -> OpenTransaction:
        return self.Open(transaction, self, lock)


class RowsOfAStepCommittedAgain(WholeTransactions):
    """Commits what was written with a step that was saved before."""

    class Open(_OpenAndWritten):
        async def commit_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
            status = await super().commit_step(batch_id, run, step)
            if step.number in self._facet.steps:
                self.write_again()
            self._facet.steps.add(step.number)
            return status

    def _open(self, transaction: OpenTransaction, lock: Lock) -> OpenTransaction:
        return self.Open(transaction, self, lock)


class EndlessTransactions(WholeTransactions):
    """Lets a transaction take as long as it likes."""

    async def begin(self, lock: Lock, longest: timedelta, /) -> OpenTransaction:
        return await super().begin(lock, longest * 1000)
