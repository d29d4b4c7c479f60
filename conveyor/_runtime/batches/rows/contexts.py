"""What a strategy is given with its rows; one for each run, which says anew what is meant before each call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.batch_job import BatchRun
    from conveyor.contracts.store.transactions import TransactionConnection

__all__ = ["RunRowContext"]

ParamsT = TypeVar("ParamsT")


class RunRowContext(Generic[ParamsT]):
    """A `RowContext`."""

    def __init__(self, run: BatchRun, params: ParamsT, origin: str | None = None) -> None:
        """Bind to a run; no rows are meant yet.

        Args:
            run: of its batch job.
            params: what that is to do.
            origin: the batch job that came to these rows first, which their keys tell; None: this one.
        """
        self._run = run
        self._params = params
        self._id = run.batch_job.id if origin is None else origin
        self._numbers: Sequence[int] = ()
        self._connection: TransactionConnection | None = None

    def mean(self, numbers: Sequence[int]) -> None:
        """Say which rows are given next."""
        self._numbers = numbers

    def connect(self, connection: TransactionConnection | None) -> None:
        """Say which connection there is from now on."""
        self._connection = connection

    @property
    def params(self) -> ParamsT:
        """See `RowContext.params`."""
        return self._params

    @property
    def run(self) -> BatchRun:
        """See `RowContext.run`."""
        return self._run

    @property
    def numbers(self) -> Sequence[int]:
        """See `RowContext.numbers`."""
        return self._numbers

    @property
    def keys(self) -> Sequence[str]:
        """See `RowContext.keys`."""
        return [f"{self._id}:{number}" for number in self._numbers]

    @property
    def number(self) -> int:
        """See `RowContext.number`."""
        return self._numbers[0]

    @property
    def key(self) -> str:
        """See `RowContext.key`."""
        return f"{self._id}:{self._numbers[0]}"

    @property
    def has_connection(self) -> bool:
        """See `RowContext.has_connection`."""
        return self._connection is not None

    @property
    def connection(self) -> TransactionConnection:
        """See `RowContext.connection`."""
        if self._connection is None:
            raise ConfigurationError(
                "context.connection is there only while rows are processed, and where the store has transactions: "
                "ask context.has_connection"
            )
        return self._connection
