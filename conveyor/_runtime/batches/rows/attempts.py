"""One try of a chunk: its rows are processed together, and where that failed, in ever smaller pieces."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

import anyio
from attrs import define, field, frozen

from conveyor._runtime.batches.rows.faults import UNBLAMED, bad_row
from conveyor.contracts.row_batches import RowBatchStrategy
from conveyor.errors import BadRowError, BatchJobError
from conveyor.model.batches.chunks import Pieces
from conveyor.model.batches.values import RowError, RowOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._runtime.batches.rows.blocks import RowBlock
    from conveyor._runtime.batches.rows.contexts import RunRowContext
    from conveyor.contracts.store.transactions import TransactionConnection
    from conveyor.model.batches.policy import ErrorPolicy

__all__ = ["Attempt", "ChunkFailedError", "LastRowError", "Outcome", "RowAgainError", "Standing"]

RowT = TypeVar("RowT")
# What became of a row; None: nothing yet.
Outcome: TypeAlias = RowOutcome | RowError | None

SAVEPOINT: Final = "conveyor_rows"


@frozen
class Standing:
    """How the batch job stands before the try.

    Attributes:
        done: how many rows are through.
        failed: how many of them are bad.
        total: how many rows there are, where that is known.
        tries_left: how often the first row of the chunk may still be tried again.
    """

    done: int
    failed: int
    total: int | None
    tries_left: int


class RowAgainError(Exception):
    """The first row of the chunk failed alone, and is to be tried again after a while."""


class LastRowError(Exception):
    """The first row of the chunk is one bad row too many.

    Attributes:
        error: what is wrong about it.
        failed: how many bad rows there are with it.
    """

    def __init__(self, error: RowError, failed: int) -> None:
        super().__init__(error.message)
        self.error = error
        self.failed = failed


class ChunkFailedError(Exception):
    """Some row of the chunk failed: it is to be tried again in pieces, in another transaction."""


class _UndoneError(Exception):
    """What a piece wrote is to be undone."""


class _PieceError(_UndoneError):
    """A row of the piece failed.

    Attributes:
        error: what was raised.
        at: which row it was, counted from the piece's first, where that is known.
        outcomes: what became of the rows before that one, where they stay done.
    """

    def __init__(self, error: Exception, at: int | None = None, outcomes: Sequence[Outcome] = ()) -> None:
        super().__init__(str(error))
        self.error = error
        self.at = at
        self.outcomes = outcomes


class _TooLongError(_UndoneError):
    """The piece holds rows after one that is one bad row too many: those must not be done.

    Attributes:
        limit: how many rows of the chunk may be settled now.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(str(limit))
        self.limit = limit


@define
class Attempt(Generic[RowT]):
    """A try of some rows, in order.

    Attributes:
        ends_at: after this time no further row is begun, where rows are processed one by one.
        outcomes: of each row; those that did not pass their check have theirs from the beginning.
        connection: what rows are written with; None: there is no transaction.
        is_whole: whether all rows are written at once or none: most chunks have no bad row, and need no savepoints.
    """

    strategy: RowBatchStrategy[RowT, Any]
    context: RunRowContext[Any]
    policy: ErrorPolicy
    standing: Standing
    ends_at: float
    rows: RowBlock[RowT]
    outcomes: list[Outcome]
    connection: TransactionConnection | None = None
    is_whole: bool = False
    _good: Sequence[int] = field(init=False, factory=list)

    async def run(self) -> int:
        """Process the rows; return how many, from the first on, are settled. Those may be saved, the others go back.

        Raises:
            ChunkFailedError: none is, and they are to be tried in pieces.
            RowAgainError: none is, and the first is to be tried again.
            LastRowError: none is: the first row is one bad row too many.
        """
        limit = self._limit(None)
        is_bare = self.outcomes.count(None) == len(self.outcomes)
        self._good = range(limit) if is_bare else [at for at in range(limit) if self.outcomes[at] is None]
        pieces = Pieces(len(self._good))
        while (piece := pieces.take()) is not None:
            try:
                handled = await self._try(piece)
            except _PieceError as failure:
                limit = min(limit, self._divide(piece, failure, pieces))
                pieces.cut(self._count_good(limit))
            except _TooLongError as failure:
                limit = failure.limit
                pieces.put_back(piece)
                pieces.cut(self._count_good(limit))
            else:
                if handled < len(piece):
                    return self._good[piece.start + handled]
        return limit

    def _divide(self, piece: range, failure: _PieceError, pieces: Pieces) -> int:
        """Put back the parts of a piece that failed; return how many rows of the chunk may be settled now."""
        for index, outcome in zip(piece, failure.outcomes, strict=False):
            self.outcomes[self._good[index]] = outcome
        left = range(piece.start + len(failure.outcomes), piece.stop)
        at = None if failure.at is None else piece.start + failure.at
        if len(left) > 1 and at != left.start:
            pieces.divide(left, at)
            return len(self.rows)
        pieces.put_back(range(left.start + 1, left.stop))
        return self._blame(self._good[left.start], failure.error)

    def _count_good(self, limit: int) -> int:
        return bisect_left(self._good, limit)

    def _blame(self, index: int, error: Exception) -> int:
        """Take note that a row failed alone, and return how many rows may be settled now."""
        if self.policy.retries and not isinstance(error, BadRowError):
            if index > 0:
                return index  # it is the first of another chunk then, and its waits hold up no other row
            if self.standing.tries_left:
                raise RowAgainError from error
        self.outcomes[index] = bad_row(self.rows.at(index), error)
        return self._limit(error)

    def _limit(self, cause: Exception | None) -> int:
        """Return which row is the first that is one bad row too many; all: there is none such."""
        failed = self.standing.failed
        if RowError not in set(map(type, self.outcomes)):
            return len(self.rows)
        for index, outcome in enumerate(self.outcomes):
            if not isinstance(outcome, RowError):
                continue
            failed += 1
            if self.policy.is_exceeded(failed, self.standing.done + index + 1, self.standing.total):
                if index == 0:
                    raise LastRowError(outcome, failed) from cause
                return index
        return len(self.rows)

    async def _try(self, piece: range) -> int:
        """Process a piece, in a savepoint where there is a transaction; return how many of its rows were handled."""
        if self.connection is None:
            return await self._handle(piece)
        if self.is_whole:
            try:
                return await self._handle(piece)
            except _UndoneError as failure:
                raise ChunkFailedError from failure
        await self.connection.execute(f"SAVEPOINT {SAVEPOINT}")
        try:
            handled = await self._handle(piece)
        except _UndoneError as failure:
            await self.connection.execute(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
            await self.connection.execute(f"RELEASE SAVEPOINT {SAVEPOINT}")
            if isinstance(failure, _PieceError):
                failure.outcomes = ()  # they were undone with the rest
            raise
        await self.connection.execute(f"RELEASE SAVEPOINT {SAVEPOINT}")
        return handled

    async def _handle(self, piece: range) -> int:
        if type(self.strategy).process is RowBatchStrategy.process:
            return await self._handle_each(piece)
        numbers, rows = self._given(piece)
        self.context.mean(numbers)
        try:
            answers = await self.strategy.process(rows, self.context)
        except UNBLAMED:
            raise
        except Exception as exc:  # whatever a user's function may raise: which row it is, is found out
            raise _PieceError(exc) from exc
        if answers is not None:
            self._take(piece, answers)
        elif isinstance(self._good, range):
            self.outcomes[piece.start : piece.stop] = [RowOutcome.DONE] * len(piece)
        else:
            self._take(piece, [None] * len(piece))
        return len(piece)

    def _given(self, piece: range) -> tuple[list[int], list[RowT]]:
        """Return the numbers and the rows of a piece."""
        rows: list[Any] = self.rows.rows
        if isinstance(self._good, range):
            return self.rows.numbers[piece.start : piece.stop], rows[piece.start : piece.stop]
        good = self._good[piece.start : piece.stop]
        return [self.rows.numbers[at] for at in good], [rows[at] for at in good]

    def _take(self, piece: range, answers: Sequence[RowOutcome | BadRowError | None]) -> None:
        """Keep what `process` says of a piece."""
        if len(answers) != len(piece):
            raise self._wrong(f"process returned {len(answers)} outcomes for {len(piece)} rows")
        for index, answer in zip(piece, answers, strict=True):
            self.outcomes[self._good[index]] = self._outcome(self._good[index], answer)
        if not any(isinstance(answer, BadRowError) for answer in answers):
            return
        limit = self._limit(None)
        if limit <= self._good[piece.stop - 1]:
            for index in piece:
                self.outcomes[self._good[index]] = None
            raise _TooLongError(limit)

    async def _handle_each(self, piece: range) -> int:
        settled: list[Outcome] = []
        rows: list[Any] = self.rows.rows
        for index in piece:
            if settled and anyio.current_time() >= self.ends_at:
                break
            at = self._good[index]
            self.context.mean((self.rows.numbers[at],))
            try:
                answer = await self.strategy.process_one(rows[at], self.context)
            except UNBLAMED:
                raise
            except Exception as exc:
                raise _PieceError(exc, len(settled), settled) from exc
            settled.append(self._outcome(self._good[index], answer))
        for index, outcome in zip(piece, settled, strict=False):
            self.outcomes[self._good[index]] = outcome
        return len(settled)

    def _outcome(self, index: int, answer: object) -> RowOutcome | RowError:
        if answer is None:
            return RowOutcome.DONE
        if isinstance(answer, RowOutcome):
            return answer
        if isinstance(answer, BadRowError):
            return bad_row(self.rows.at(index), answer)
        raise self._wrong(f"an outcome must be a RowOutcome, a BadRowError or None, got {answer!r}")

    def _wrong(self, what: str) -> BatchJobError:
        return BatchJobError(f"{type(self.strategy).__name__}: {what}", batch_id=self.context.run.batch_job.id)
