"""The proof that a batch job comes to the same, wherever its program is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from conveyor.model.batches.values import RowOutcome
from conveyor.testing.batches.killing import run_batch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from conveyor.contracts.batch_job import BatchJobStrategy
    from conveyor.testing.batches.killing import BatchEnd

__all__ = ["BatchTrial", "prove_resume"]


@frozen
class BatchTrial:
    """One batch job to run, in a place where nothing is yet.

    Attributes:
        make_strategy: makes the strategy, anew for each program.
        context: what the batch job is to do.
        read: returns what was written: the same, and comparable, whenever the same was.
        url: an empty store.
        app_options: of `Conveyor`, such as its lifespan.
        worker: of `Conveyor.worker`, such as a short `lock_duration`; see `run_batch`.
    """

    make_strategy: Callable[[], BatchJobStrategy]
    context: Mapping[str, Any]
    read: Callable[[], Awaitable[Any]]
    url: str = "memory://"
    app_options: Mapping[str, Any] = field(factory=dict)
    worker: Mapping[str, Any] = field(factory=dict)


async def prove_resume(begin: Callable[[], AbstractAsyncContextManager[BatchTrial]], *, at_most: int = 20) -> int:
    """Assert that a batch job which is killed at any step, and taken up again, comes to what it would have come to.

    Compared is what was written, which rows are bad, and, where the store has transactions, what became of each.
    Programs are killed right before a step is saved, and right after.

    Args:
        begin: makes a place where nothing is yet, and a trial in it; entered anew for each run.
        at_most: at how many steps, spread over all of them.

    Returns:
        At how many points it was killed.

    Raises:
        AssertionError: it names the point, and what is different.
    """
    expected, whole = await _try(begin)
    count = min(whole.steps, at_most)
    assert count, "the batch job saved no step at which it could be killed: give it something to do"
    points = sorted({1 + index * whole.steps // count for index in range(count)})
    killed = 0
    for step in points:
        for loses_step in (True, False):
            where = f"killed {'before' if loses_step else 'after'} step {step} was saved"
            found, end = await _try(begin, crash_after=step, loses_step=loses_step)
            if end.runs == 1:
                continue  # it needed fewer steps: how long each took decides
            killed += 1
            assert found == expected, f"{where}: {found!r} was written, and {expected!r} otherwise"
            _compare(where, end, whole)
    assert killed, "no program was killed: none came to a step at which it should have been"
    return killed


async def _try(
    begin: Callable[[], AbstractAsyncContextManager[BatchTrial]],
    *,
    crash_after: int | None = None,
    loses_step: bool = False,
) -> tuple[Any, BatchEnd]:
    async with begin() as trial:
        end = await run_batch(
            trial.make_strategy,
            trial.context,
            url=trial.url,
            crash_after=crash_after,
            loses_step=loses_step,
            worker=trial.worker,
            **trial.app_options,
        )
        return await trial.read(), end


def _compare(where: str, end: BatchEnd, whole: BatchEnd) -> None:
    found, expected = _told(end), _told(whole)
    for what in expected:
        assert found[what] == expected[what], f"{where}: {what} is {found[what]!r}, and {expected[what]!r} otherwise"


def _told(end: BatchEnd) -> Mapping[str, object]:
    batch = end.batch_job
    told: dict[str, object] = {
        "its status": batch.status,
        "done": batch.done,
        "total": batch.total,
        "the number of bad rows": batch.counts.get(RowOutcome.FAILED, 0),
        "its list of bad rows": end.errors,
    }
    if end.is_exact:
        # A row that comes again may be updated where it was created before: that is no other end.
        told["its counts"] = dict(batch.counts)
    return told
