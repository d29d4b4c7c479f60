"""The transactions facet: business writes, and what the run that makes them has reached by that, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.batches.values import BatchStep
    from conveyor.model.job import LogEntry, ProgressReport
    from conveyor.model.locks import Lock
    from conveyor.model.settlement import Settlement

__all__ = ["OpenTransaction", "TransactionConnection", "TransactionStore"]

# By name of column. Any: the caller's own statement decides the types.
Row: TypeAlias = "Mapping[str, Any]"


class TransactionConnection(Protocol):
    """What a handler writes with, inside `JobContext.transaction`: the same on trio and asyncio.

    The SQL and its placeholders are the database's own. Statements run one after another, also those of several
    tasks. The transaction is begun, committed and rolled back by conveyor: statements that do so are refused
    with ConfigurationError; savepoints are the caller's.

    Each method raises StoreError where the database refuses a statement (the driver's error is ``__cause__``; the
    transaction goes on unless the database ended it), ConstraintError where a constraint of a table does, and
    TimeoutError once the transaction has taken too long and was rolled back. After a statement that was cancelled, the
    transaction can only be rolled back.
    """

    async def execute(self, sql: str, /, *params: object) -> int:
        """Run one statement and return how many rows it changed; -1 where that has no meaning."""
        ...

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]], /) -> int:
        """Run one statement for each row of parameters and return how many rows it changed in all."""
        ...

    async def fetch(self, sql: str, /, *params: object) -> list[Row]:
        """Run one statement and return its rows; of columns with one name the last is kept."""
        ...

    async def fetchrow(self, sql: str, /, *params: object) -> Row | None:
        """Run one statement and return its first row, or None."""
        ...


class OpenTransaction(Protocol):
    """A transaction of one run. Who began it must end it, by a commit or by `roll_back`, in the same task."""

    @property
    def connection(self) -> TransactionConnection:
        """What the handler writes with."""
        ...

    async def commit(
        self, settlement: Settlement, /, logs: Sequence[LogEntry] = (), progress: Sequence[ProgressReport] = ()
    ) -> None:
        """Write the run's reports, settle it as `settle_jobs` does, and commit all with what the handler wrote.

        When this raises anything but StoreUnavailableError, everything is rolled back; after that one, all of it
        took effect or nothing: the settlement tells.

        Raises:
            LockLostError: the run no longer owns its job.
            TimeoutError: the transaction took longer than it might, and was rolled back before.
            StoreError: the database ended the transaction before, or a statement of it was cancelled.
        """
        ...

    async def commit_step(self, batch_id: str, run: str, step: BatchStep, /) -> BatchStatus:
        """Save a step of a batch job's run as `save_step` does, commit it with what was written, return the status.

        The job goes on, and its run may begin another transaction. A step whose number was saved before was committed
        with its rows: everything is rolled back, and the status returned.
        When this raises anything but StoreUnavailableError, everything is rolled back; after that one, all of it
        took effect or nothing: `BatchJobData.steps` tells.

        Raises:
            BatchJobNotFoundError
            BatchRunLostError: another run of the batch job began since, or this one has ended.
            CapabilityError: the store has no batch jobs.
            TimeoutError, StoreError: as `commit`.
        """
        ...

    async def roll_back(self) -> None:
        """Undo everything. After a commit, and a second time, it does nothing.

        Raises:
            StoreUnavailableError: the database could not be told; it undoes by itself what nobody can end any more.
        """
        ...


class TransactionStore(Protocol):
    """Transactions that runs write in. A store that has them takes its callers' own, too: `save_jobs_in`."""

    async def begin(self, lock: Lock, longest: timedelta, /) -> OpenTransaction:
        """Begin the transaction of the run that holds this lock.

        After `longest` the store rolls it back by itself, also while the program does not answer, so that it
        never keeps others waiting for longer. While it is open the run's lock is renewed as ever: a store in
        which one writes at a time sees to it that renewals get their turn between transactions.

        Raises:
            LockLostError: the run does not own its job.
            StoreUnavailableError: somebody else writes for too long; nothing was begun.
        """
        ...
