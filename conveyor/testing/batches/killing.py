"""Batch jobs whose programs are killed and taken up again, on a real app."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
from attrs import frozen

from conveyor._app import Conveyor
from conveyor.codec import decode_json
from conveyor.errors import CapabilityError
from conveyor.model.batches.values import Confirmation
from conveyor.testing.batches.fake_run import RunKilledError
from conveyor.testing.faults import FaultKind, FaultyStore
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conveyor.contracts.batch_job import BatchJobStrategy
    from conveyor.contracts.store import BatchStore, Store
    from conveyor.model.batches.values import BatchJobData, RowError
    from conveyor.testing.faults import StoreCall

__all__ = ["BatchEnd", "run_batch"]

# What saves a step: by itself, or with the rows of a transaction.
STEPS: Final = frozenset({"save_step", "commit_step"})
# What a database does by itself once a program is dead.
ENDS: Final = frozenset({"roll_back"})
LOOK_SECONDS: Final = 0.005
# Longer than a lock lasts: whoever was killed has lost its jobs by then.
LEAP: Final = timedelta(minutes=5)
BATCH_ID: Final = "batch-1"


@frozen
class BatchEnd:
    """What came of a batch job.

    Attributes:
        batch_job: as the store has it.
        errors: its bad rows, by number; at most the first 100 000.
        runs: how many programs it took.
        steps: how many steps they saved.
        is_exact: whether the store has transactions, in which each row can be processed exactly once.
    """

    batch_job: BatchJobData
    errors: Sequence[RowError]
    runs: int
    steps: int
    is_exact: bool

    @property
    def result(self) -> Mapping[str, Any] | None:
        """What came of it, as the strategy said it; None: it said nothing."""
        return cast("Mapping[str, Any] | None", decode_json(self.batch_job.result))


async def run_batch(
    make_strategy: Callable[[], BatchJobStrategy],
    context: Mapping[str, Any],
    *,
    url: str = "memory://",
    crash_after: int | None = None,
    crashes: int = 1,
    loses_step: bool = False,
    dry_run: bool = False,
    worker: Mapping[str, Any] | None = None,
    **app_options: Any,
) -> BatchEnd:
    """Create a batch job in an app of its own, and work for it until it ends; kill the program on the way.

    A program that is killed says nothing more to its store, as after ``kill -9``. The next one takes the batch job up.

    Args:
        make_strategy: makes the strategy, anew for each program.
        context: what the batch job is to do.
        url: an empty store.
        crash_after: the step, counted from 1 in each program, that it is killed at, right after it was saved. None:
            none is killed.
        crashes: how many programs are killed.
        loses_step: they are killed right before the step is saved instead.
        dry_run: whether the batch job keeps nothing.
        worker: options of `Conveyor.worker`. A store whose time is that of a server waits for the end of a dead
            program's locks, so give it a `lock_duration` of a second or two.
        app_options: of `Conveyor`, such as its lifespan.

    Raises:
        ConfigurationError: the strategy cannot work.
        BatchJobError: the context does not fit.
    """
    clock, runs, steps = _LeapingClock(), 0, 0
    async with open_store(url, clock=clock) as store:
        while True:
            runs += 1
            killing = _Killing(crash_after if runs <= crashes else None, loses_step=loses_step)
            try:
                app = Conveyor(
                    FaultyStore(store, killing), clock=clock, batch_strategies=[make_strategy()], **app_options
                )
                await _work(app, _batches(store), context, worker or {}, dry_run=dry_run)
            except* RunKilledError:
                clock.leap()
            steps += killing.saved
            batch = await _batches(store).get_batch(BATCH_ID)
            if batch is not None and batch.status.is_ended:
                errors = await _batches(store).get_errors(BATCH_ID, limit=100_000)
                return BatchEnd(batch, errors, runs, steps, store.capabilities.has_transactions)


async def _work(
    app: Conveyor, batches: BatchStore, context: Mapping[str, Any], worker: Mapping[str, Any], *, dry_run: bool
) -> None:
    batch_type = app.batches.types()[0]
    async with app:
        await app.batches.create(batch_type, context, id=BATCH_ID, dry_run=dry_run, confirmation=Confirmation.AUTOMATIC)
        options: dict[str, Any] = {"stalled_interval": timedelta(milliseconds=50), **worker}
        async with app.worker(**options):
            await _until_ended(batches)


async def _until_ended(batches: BatchStore) -> None:
    while True:
        batch = await batches.get_batch(BATCH_ID)
        if batch is not None and batch.status.is_ended:
            return
        await anyio.sleep(LOOK_SECONDS)


def _batches(store: Store) -> BatchStore:
    if store.batches is None:
        raise CapabilityError(store.name, "batches", "run_batch()")
    return store.batches


class _LeapingClock:
    """The system's clock, put forward where somebody is to have lost a lock."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def leap(self) -> None:
        self._ahead += LEAP


class _Killing:
    """A plan that kills a program at a step: nothing reaches the store from then on."""

    def __init__(self, at: int | None, *, loses_step: bool) -> None:
        self.saved = 0
        self._at = at
        self._loses_step = loses_step
        self._is_dead = False

    def __call__(self, call: StoreCall, /) -> FaultKind | None:
        if call.verb in ENDS:
            return None
        if self._is_dead:
            raise RunKilledError(f"{call.verb} by a program that was killed")
        if call.verb not in STEPS:
            return None
        self._is_dead = self.saved + 1 == self._at
        if self._is_dead and self._loses_step:
            raise RunKilledError(f"before step {self._at} of this program was saved")
        self.saved += 1
        return FaultKind.LOSE_ANSWER if self._is_dead else None
