"""BatchJobStrategy: what a batch job of one type does; the seed's contract, and what core lends to it.

The seed's two methods are all that a strategy must have. Whatever else `AbstractBatchJobStrategy` has, a strategy may
have or leave out: core looks for it by name.
"""

# ruff: noqa: ARG002 - hooks that a strategy may leave out do nothing

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from conveyor.model.batches.values import Confirmation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from conveyor.contracts.store.transactions import TransactionConnection
    from conveyor.contracts.strategy import Injector
    from conveyor.model.batches.values import BatchJobData, RowError, RowOutcome

__all__ = ["AbstractBatchJobStrategy", "BatchJobService", "BatchJobStrategy", "BatchRun", "BatchTransaction"]


class BatchJobStrategy(Protocol):
    """Processes the batch jobs of one type. It may also be an `InjectableStrategy`, and so get a `BatchJobService`."""

    @property
    def identifier(self) -> str:
        """What the strategy is called: unique among those of an app."""
        ...

    @property
    def batch_type(self) -> str:
        """Which batch jobs are its own; two strategies of one type are refused."""
        ...

    async def process_job(self, batch_job_id: str, /) -> None:
        """Do what is to be done, from where the run before ended. Returning completes the batch job.

        It may be called again for the same batch job: after a crash, a pause, an error that is retried. What it has
        done is what it saved: see `BatchRun`.
        """
        ...

    async def build_template(self) -> str:
        """Return a file that shows people what they may upload; an empty string: there is none."""
        ...


class AbstractBatchJobStrategy(ABC):
    """A strategy with everything that one may have: subclass it, and write `process_job` and `build_template`.

    Attributes:
        identifier, batch_type: see `BatchJobStrategy`.
        confirmation: whether batch jobs of the type are confirmed as soon as they are pre-processed, unless `create`
            says otherwise.
        confirm_above: with more rows than this somebody must confirm, also where `confirmation` is AUTOMATIC.
        identifying: the fields of the context that make two batch jobs the same: another one is refused unless it is
            forced. Empty: none are.
        max_running: how many batch jobs of the type run at once, over all workers; None: as many as there is room for.
        max_retries: how often a run that failed is tried again without a step forward between, where
            `should_retry_on_processing_error` says so.
    """

    identifier: ClassVar[str]
    batch_type: ClassVar[str]
    confirmation: ClassVar[Confirmation] = Confirmation.AUTOMATIC
    confirm_above: ClassVar[int | None] = None
    identifying: ClassVar[tuple[str, ...]] = ()
    max_running: ClassVar[int | None] = None
    max_retries: ClassVar[int] = 3

    # Set by `init`.
    batch_jobs: BatchJobService

    async def init(self, injector: Injector, /) -> None:
        """Open; `batch_jobs` is there afterwards."""
        self.batch_jobs = injector.get(BatchJobService)

    async def destroy(self) -> None:
        """Close."""
        return

    async def prepare_batch_job_for_processing(
        self, context: Mapping[str, Any], request: Mapping[str, Any] | None, /
    ) -> Mapping[str, Any]:
        """Return the context to keep, when a batch job is created: normalised, with what the request says.

        Whatever it raises, `create` raises, and nothing is created. `request` is what the web framework knows; None
        outside of one.
        """
        return context

    async def validate_context(self, context: Mapping[str, Any], /) -> None:
        """Raise where the context cannot be processed; called after `prepare_batch_job_for_processing`."""
        return

    async def identify(self, context: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Return the context as it is compared, by the fields that `identifying` names; called after it was validated.

        So that what is named in another way each time, such as the key of a file, can be told by what it is.
        """
        return context

    async def stored_files(self, context: Mapping[str, Any], result: Mapping[str, Any] | None, /) -> Sequence[str]:
        """Return the keys of the stored files that are of use only as long as a batch job is kept.

        When it is removed, those go that would expire and that no other batch job names.

        Args:
            context: what it was to do.
            result: what came of it; None: nothing was said.
        """
        return ()

    async def pre_process_batch_job(self, batch_job_id: str, /) -> None:
        """Look at what is to be done: count it, check it. Nothing is written yet. It may be called again."""
        return

    @abstractmethod
    async def process_job(self, batch_job_id: str, /) -> None:
        """See `BatchJobStrategy.process_job`."""
        ...

    @abstractmethod
    async def build_template(self) -> str:
        """See `BatchJobStrategy.build_template`."""
        ...

    async def post_process(self, batch_job_id: str, /) -> None:
        """Finish, after `process_job` returned and before the batch job is completed. It may be called again."""
        return

    async def should_retry_on_processing_error(self, batch_job: BatchJobData, error: Exception, /) -> bool:
        """Return whether a run that raised is to be tried again, from where it was."""
        return False

    async def handle_processing_error(self, batch_job_id: str, error: Exception, /) -> None:
        """Clean up after a run that raised and is not tried again, before the batch job is failed."""
        return

    async def before_processing(self, batch_job_id: str, /) -> None:
        """Do something before each run. What it raises is an error of the run."""
        return

    async def after_processing(self, batch_job_id: str, /) -> None:
        """Do something once it is completed. What it raises is logged: the batch job stays completed."""
        return

    async def on_failure(self, batch_job_id: str, error: Exception, /) -> None:
        """Do something once it has failed. What it raises is logged."""
        return

    async def on_cancel(self, batch_job_id: str, /) -> None:
        """Do something once a run was cancelled, such as deleting files. What it raises is logged."""
        return


class BatchJobService(Protocol):
    """What a strategy may ask of the app's batch jobs: the injector has it."""

    async def get(self, batch_job_id: str, /) -> BatchJobData:
        """Return a batch job.

        Raises:
            BatchJobNotFoundError
        """
        ...

    async def get_errors(self, batch_job_id: str, /, *, after: int = 0, limit: int = 1000) -> Sequence[RowError]:
        """Return its bad rows with numbers above `after`, by number; at most so many.

        Raises:
            BatchJobNotFoundError
        """
        ...

    def run(self, batch_job_id: str, /) -> BatchRun:
        """Return the run of a batch job that goes on in this process, while it is pre-processed or processed.

        Raises:
            BatchJobError: it is not run here now.
        """
        ...


class BatchRun(Protocol):
    """One run of a batch job, from where the one before ended.

    What is not saved is done again by the next run. Saving is one small write of the store, so save after each chunk of
    rows, about once a second, and not after each row.
    """

    @property
    def batch_job(self) -> BatchJobData:
        """The batch job as the store last answered."""
        ...

    @property
    def context(self) -> Mapping[str, Any]:
        """What it is to do."""
        ...

    @property
    def is_pre_processing(self) -> bool:
        """Whether it is only looked at yet: cursors and rows are not kept, and nothing is to be written."""
        ...

    @property
    def is_dry_run(self) -> bool:
        """Whether it tries everything and keeps nothing."""
        ...

    @property
    def cursor(self) -> Any:
        """What was last saved as such, as JSON-like values; None: this run is at the beginning."""
        ...

    @property
    def part(self) -> Any:
        """What this run works on, as it was given to `process_parts`; None: on all there is.

        In the run of a part, cursor and numbers are those of the part.
        """
        ...

    @property
    def can_divide(self) -> bool:
        """Whether `process_parts` works: the store keeps parts, and this is no dry run, and no run of a part."""
        ...

    async def process_parts(self, parts: Sequence[Any], /) -> None:
        """Divide the batch job into parts, and return once all of them are done; for `process_job`, and only there.

        For each part `process_job` is called again, with a run whose `part` says which, in a job of its own wherever
        there is room for one, or between in this one. Parts may be worked on at the same time; each stops, goes on and
        is tried again from where it was. One that was divided before goes on with the parts that it has.

        Args:
            parts: what belongs to each, as JSON-like values.

        Raises:
            BatchStoppedError, BatchRunLostError: see `save`. Let them pass.
            BatchPartFailedError: a part failed. Let it pass.
            BatchJobError: `can_divide` says that it cannot.
            CapabilityError: the store keeps no parts.
        """
        ...

    @property
    def result(self) -> Mapping[str, Any] | None:
        """What came of it so far, as this run or one before set it, pre-processing too; None: nothing was set."""
        ...

    @property
    def state(self) -> Any:
        """What the app's lifespan gave."""
        ...

    @property
    def has_transactions(self) -> bool:
        """Whether `transaction` works: the store has a database that the strategy's own tables can be in."""
        ...

    async def save(
        self,
        *,
        cursor: Any,
        done: int,
        total: int | None = None,
        counts: Mapping[RowOutcome, int] | None = None,
        errors: Sequence[RowError] = (),
        mended: Sequence[int] = (),
        message: str | None = None,
    ) -> None:
        """Keep how far the run is; the numbers are those since the beginning of the batch job.

        `errors` are rows that are bad, `mended` the numbers of rows that were, and are no more.

        Raises:
            BatchStoppedError: it was saved, and the run is to stop, since the batch job was paused or cancelled, or
                the worker stops. Let it pass.
            BatchRunLostError: another run processes it by now; nothing was kept. Let it pass.
        """
        ...

    async def check_stopped(self) -> None:
        """Raise BatchStoppedError where the run is to stop; for strategies with long pauses between saves."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[BatchTransaction]:
        """Open a transaction in which rows are written and `BatchTransaction.save` says how far the run is then.

        Leaving the block commits both or neither; in a dry run it commits how far the run is, and nothing else.

        Raises:
            BatchStoppedError, BatchRunLostError: on leaving, as `save` does: the first after the commit.
            CapabilityError: the store has none.
        """
        ...

    def set_result(self, result: Mapping[str, Any], /) -> None:
        """Say what came of it; kept with the next save, or with the end.

        Raises:
            BatchJobError: it has no JSON form; or this is the run of a part.
        """
        ...

    def set_total(self, total: int, /) -> None:
        """Say how many rows there are; kept with the next save, or with the end."""
        ...

    def log(self, message: str, /) -> None:
        """Keep a line with the job that works for the batch job."""
        ...


class BatchTransaction(Protocol):
    """A transaction of a batch job's run."""

    @property
    def connection(self) -> TransactionConnection:
        """What rows are written with."""
        ...

    def save(
        self,
        *,
        cursor: Any,
        done: int,
        total: int | None = None,
        counts: Mapping[RowOutcome, int] | None = None,
        errors: Sequence[RowError] = (),
        mended: Sequence[int] = (),
        message: str | None = None,
    ) -> None:
        """Say how far the run is once the transaction is committed; once in each, or leaving the block is refused."""
        ...
