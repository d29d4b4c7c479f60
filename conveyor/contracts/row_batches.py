"""RowBatchStrategy: a batch job strategy that works on rows; what it says of them, core does the rest.

An author writes a row class, `process` or `process_one`, maybe `check` and a `source`. Core reads the source as a
stream, makes chunks, commits each with the place where it ended, finds the row that makes a chunk fail, keeps bad rows
apart, and goes on where the last run ended.
"""

# ruff: noqa: ARG002 - what a strategy may leave out does nothing

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from attrs import frozen

from conveyor.contracts.batch_job import AbstractBatchJobStrategy
from conveyor.errors import ConfigurationError
from conveyor.model.batches.policy import ErrorPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor.codec.tables import TableForm
    from conveyor.contracts.batch_job import BatchRun
    from conveyor.contracts.store.transactions import TransactionConnection
    from conveyor.contracts.strategy import Injector
    from conveyor.errors import BadRowError
    from conveyor.model.batches.rows import RowPreview
    from conveyor.model.batches.values import RowOutcome
    from conveyor.model.durations import Duration

__all__ = ["FileParams", "FileRows", "NoParams", "PagedRows", "RowBatchStrategy", "RowContext", "RowSource", "RowWork"]

RowT = TypeVar("RowT")
ParamsT = TypeVar("ParamsT")
ParamsT_co = TypeVar("ParamsT_co", covariant=True)

# A row and where to go on after it, as JSON-like values.
_Page: TypeAlias = Sequence[tuple[RowT, Any]]


@frozen
class NoParams:
    """The context of batch jobs that need to be told nothing."""


@frozen(kw_only=True)
class FileParams:
    """The context of batch jobs whose rows stand in a stored file. Subclass it, with ``kw_only=True``, to add to it.

    Attributes:
        file: the key of the file in the app's file storage.
        encoding: of a file without a byte order mark; None: UTF-8.
        delimiter: between the cells of a CSV file; None: what its header is parted by.
    """

    file: str
    encoding: str | None = None
    delimiter: str | None = None


@frozen
class FileRows:
    """A source that is a stored file: CSV with a header, or JSON lines, read into `RowBatchStrategy.row`.

    Attributes:
        file, encoding, delimiter: see `FileParams`.
        form: how rows stand in it; None: its name tells, ``.jsonl`` and ``.ndjson`` from all others.
    """

    file: str
    encoding: str | None = None
    delimiter: str | None = None
    form: TableForm | None = None


@frozen
class PagedRows(Generic[RowT]):
    """A source that is asked for one page after another, such as a query with a key and a limit.

    Attributes:
        fetch: is given the cursor of the last row there was (None: from the beginning) and how many rows are wanted,
            and returns them in order, each with its cursor; fewer are right, none ends the source.
        size: how many are asked for at once.
    """

    fetch: Callable[[Any, int], Awaitable[_Page[RowT]]]
    size: int = 500


# Where rows come from: a stored file, or each with the cursor after which the next run goes on.
RowSource: TypeAlias = AsyncIterable[tuple[RowT, Any]] | PagedRows[RowT] | FileRows


class RowContext(Protocol[ParamsT_co]):
    """What a strategy is given with its rows."""

    @property
    def params(self) -> ParamsT_co:
        """The context of the batch job, as `RowBatchStrategy.params`."""
        ...

    @property
    def run(self) -> BatchRun:
        """The run; saving and transactions of rows are core's own business."""
        ...

    @property
    def numbers(self) -> Sequence[int]:
        """Which rows of the source the given ones are, counted from 1."""
        ...

    @property
    def keys(self) -> Sequence[str]:
        """For each given row a key that is the same whenever this batch job comes to the row again.

        Where there are no transactions, rows after the last saved step are done again after a crash: give this to
        whatever can tell a repetition by it.
        """
        ...

    @property
    def number(self) -> int:
        """The number of the one row that is given: the first of `numbers`."""
        ...

    @property
    def key(self) -> str:
        """The key of the one row that is given: the first of `keys`."""
        ...

    @property
    def has_connection(self) -> bool:
        """Whether rows are processed in a transaction of the store's database."""
        ...

    @property
    def connection(self) -> TransactionConnection:
        """What rows are written with, in `process` and `process_one`: committed with how far the run is.

        Raises:
            ConfigurationError: the store has no transactions; or a row is only checked.
        """
        ...


class RowBatchStrategy(AbstractBatchJobStrategy, Generic[RowT, ParamsT]):
    """A strategy that works on rows. Give it `row`, `params` and `process_one` or `process`; the rest has defaults.

    Attributes:
        row: the class of rows, an attrs class.
        params: the class that the context is read into, an attrs class. A context that does not fit is refused when
            the batch job is created.
        chunk_size: how many rows are worked on together at most.
        chunk_seconds: how long that should take; the size of chunks adapts to it. A run stops between two chunks, and
            a transaction takes a third of the lock duration at most.
        errors: what becomes of a batch job with bad rows.
        parts: into how many parts of the same size rows are divided, which are worked on at the same time; a part has
            `chunk_size` rows at least. Above 1, a row must not depend on what becomes of rows before it. Where the
            parts end is noted while all rows are read to check them. A dry run is not divided.
        rollback_safe: whether all that `process` or `process_one` does is undone where its transaction is rolled
            back: then a dry run does it, and rolls back. Otherwise a dry run only checks rows.
    """

    row: type[RowT]
    params: type[ParamsT]
    chunk_size: ClassVar[int] = 500
    chunk_seconds: ClassVar[float] = 1.0
    errors: ClassVar[ErrorPolicy] = ErrorPolicy.stop()
    parts: ClassVar[int] = 1
    rollback_safe: ClassVar[bool] = False

    # Set by `init`.
    row_work: RowWork

    async def init(self, injector: Injector, /) -> None:
        """Open; `batch_jobs` and `row_work` are there afterwards.

        Raises:
            ConfigurationError: an attribute is missing or wrong, or there is neither `process` nor `process_one`.
        """
        await super().init(injector)
        self.row_work = injector.get(RowWork)
        self.row_work.declare(self)

    def source(self, context: RowContext[ParamsT], cursor: Any, /) -> RowSource[RowT]:
        """Return where rows come from: an async generator of (row, cursor), `PagedRows`, or `FileRows`.

        Without one of your own, it is the file that the context names as `FileParams` does. A source must give the
        same rows in the same order for as long as the batch job is not ended. While rows are processed, a task of its
        own opens, reads and closes it: the next rows while a chunk is committed. A run that stops cancels that.

        Args:
            context: what is to be done; no rows are meant yet.
            cursor: that of the last row that is done, to go on after it; None: from the beginning.
        """
        given = context.run.context
        return FileRows(given["file"], given.get("encoding"), given.get("delimiter"))

    async def check(self, row: RowT, context: RowContext[ParamsT], /) -> RowPreview | RowOutcome | None:
        """Look at a row without writing, and say what would become of it; None: DONE.

        Called for each row before anything is processed, and for each row again before it is processed:
        `RowContext.run.is_pre_processing` tells which.

        Raises:
            ValueError: the row is bad. BadRowError says more. What else is raised fails the run.
        """
        return None

    async def process(
        self, rows: Sequence[RowT], context: RowContext[ParamsT], /
    ) -> Sequence[RowOutcome | BadRowError | None] | None:
        """Write rows; return what became of each, None: DONE; or None for all of them.

        What it raises is blamed on a row: the chunk is rolled back, and its halves are tried, until the bad row is
        alone. A BadRowError that is returned in the place of a row's outcome makes that row bad, and the others stay
        done. StoreUnavailableError and TimeoutError are blamed on nobody, and all is tried again a little later.

        Without transactions, rows that were done before one raised are done again, under the same keys.
        """
        raise ConfigurationError(f"{type(self).__name__} has neither process nor process_one")

    async def process_one(self, row: RowT, context: RowContext[ParamsT], /) -> RowOutcome | None:
        """Write one row; return what became of it, None: DONE. Used where there is no `process`.

        What it raises makes the row bad, as for `process`.
        """
        raise ConfigurationError(f"{type(self).__name__} has neither process nor process_one")

    async def throttle(self, context: RowContext[ParamsT], /) -> Duration | None:
        """Return how long to wait before the next chunk, such as "5 minutes", or None; asked again after that."""
        return None

    async def validate_context(self, context: Mapping[str, Any], /) -> None:
        """Refuse a context that cannot be read into `params`, or whose file is not there; overriders call this.

        Raises:
            BatchJobError: it names the field.
            StoredFileNotFoundError
        """
        await self.row_work.check_context(self, context)

    async def identify(self, context: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Return the context with the defaults of `params`, and with what is in its file in the place of the key.

        So one file is the same twice.
        """
        return await self.row_work.identify(self, context)

    async def stored_files(self, context: Mapping[str, Any], result: Mapping[str, Any] | None, /) -> Sequence[str]:
        """Return the file that rows come from, where they come from one."""
        return [context["file"]] if self.row_work.has_file(self) else []

    async def pre_process_batch_job(self, batch_job_id: str, /) -> None:
        """Read and check all rows, and keep what was found as the result."""
        await self.row_work.pre_process(self, self.batch_jobs.run(batch_job_id))

    async def process_job(self, batch_job_id: str, /) -> None:
        """Process the rows that are left."""
        await self.row_work.process(self, self.batch_jobs.run(batch_job_id))

    async def build_template(self) -> str:
        """Return a CSV file with the columns of `row`, where rows come from files; else there is none."""
        return self.row_work.make_template(self)


class RowWork(Protocol):
    """What core does for a `RowBatchStrategy`; the injector has it."""

    def declare(self, strategy: RowBatchStrategy[Any, Any], /) -> None:
        """Refuse a strategy that cannot work.

        Raises:
            ConfigurationError: it says which attribute is missing or wrong.
        """
        ...

    def read_params(self, strategy: RowBatchStrategy[Any, ParamsT], context: Mapping[str, Any], /) -> ParamsT:
        """Return the context as the strategy's `params`.

        Raises:
            BatchJobError: it does not fit; the message names the field.
        """
        ...

    async def check_context(self, strategy: RowBatchStrategy[Any, Any], context: Mapping[str, Any], /) -> None:
        """Refuse a context that cannot be read, or that names a file which is not there.

        Raises:
            BatchJobError: it does not fit; the message names the field.
            StoredFileNotFoundError
        """
        ...

    async def identify(self, strategy: RowBatchStrategy[Any, Any], context: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Return the context as it is compared: with defaults, and a stored file that it names is told by its SHA-256.

        Raises:
            StoredFileNotFoundError
        """
        ...

    def has_file(self, strategy: RowBatchStrategy[Any, Any], /) -> bool:
        """Whether rows come from the file that the context names."""
        ...

    def make_template(self, strategy: RowBatchStrategy[Any, Any], /) -> str:
        """Return a file that people fill in, for strategies whose rows come from files; else an empty string."""
        ...

    async def pre_process(self, strategy: RowBatchStrategy[Any, Any], run: BatchRun, /) -> None:
        """Read and check every row; nothing is written. The run's result has what was found.

        Raises:
            BadFileError: the file is no table, or not one of the strategy's rows.
            TooManyBadRowsError: there are more than the strategy's `errors` allow, and it is no dry run.
        """
        ...

    async def process(self, strategy: RowBatchStrategy[Any, Any], run: BatchRun, /) -> None:
        """Process the rows that are left, in chunks, each saved as a step of the run.

        Raises:
            TooManyBadRowsError: there are more than the strategy's `errors` allow; what was done stays done.
            BatchStoppedError, BatchRunLostError: see `BatchRun.save`.
            BatchPartFailedError: see `BatchRun.process_parts`.
        """
        ...
