"""A program that dies between any two steps of a batch job: another goes on with exactly what is left."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor import BatchStatus, Conveyor
from conveyor._builtin.memory.store import MemoryStore
from conveyor.errors import StoreUnavailableError
from conveyor.testing.clocks import JumpingClock, jumping_backends
from conveyor.testing.faults import FaultKind, FaultyStore
from tests.app.batches.strategies import Counting

if TYPE_CHECKING:
    from conveyor.testing.faults import StoreCall

pytestmark = pytest.mark.anyio

ROWS: Final = 3
# What is written of one batch job: create; pre-process, confirm; start, a step for each row, complete.
WRITES: Final = 5 + ROWS


@pytest.fixture(params=jumping_backends(), ids=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> object:
    return request.param


class Death:
    """Lets a program die at one of its writes about batch jobs: that one is spoiled, and the store hears no more."""

    def __init__(self, number: int, kind: FaultKind) -> None:
        self.has_come = False
        self.event = anyio.Event()
        self._left = number
        self._kind = kind

    def __call__(self, call: StoreCall, /) -> FaultKind | None:
        if self.has_come:
            return FaultKind.FAIL_BEFORE
        if call.facet != "batches" or call.verb not in ("create_batch", "change_batch", "save_step"):
            return None
        self._left -= 1
        if self._left:
            return None
        self.has_come = True
        self.event.set()
        return self._kind


async def run_until_death(store: MemoryStore, death: Death, strategy: Counting) -> bool:
    """Run a program until it dies; return whether it did, or saw the batch job's end."""
    app = Conveyor(FaultyStore(store, death), batch_strategies=[strategy])
    with anyio.CancelScope() as life:
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                await death.event.wait()
                life.cancel()

            tasks.start_soon(watch)
            async with app, app.worker():
                # Who creates it may be the one that hears no answer.
                with suppress(StoreUnavailableError):
                    await (await app.batches.create("count", {"rows": ROWS}, id="import-1")).wait_until_ended()
            tasks.cancel_scope.cancel()
    return death.has_come


@pytest.mark.parametrize("kind", [FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER])
@pytest.mark.parametrize("number", range(1, WRITES + 1))
async def test_another_goes_on_with_what_is_left(number: int, kind: FaultKind) -> None:
    store = MemoryStore(JumpingClock())
    first, second = Counting(), Counting()
    assert await run_until_death(store, Death(number, kind), first)
    app = Conveyor(store, batch_strategies=[second])
    async with app, app.worker():
        # Who asked and heard no answer asks again; the id says that it is the same.
        batch = await app.batches.create("count", {"rows": ROWS}, id="import-1")
        await batch.wait_until_ended("10 minutes")
        assert batch.status is BatchStatus.COMPLETED
        assert batch.counts == {"done": ROWS, "failed": 0}
        rows = first.rows + second.rows
        assert sorted(set(rows)) == [1, 2, 3]
        # Without transactions, what was not saved comes again: one row at most.
        assert len(rows) - ROWS <= 1
        assert [change.after for change in batch.history].count(BatchStatus.COMPLETED) == 1
        assert await app._services.batch_store("the test").find_stranded() == []


async def test_there_is_no_later_step_to_die_at() -> None:
    assert not await run_until_death(MemoryStore(JumpingClock()), Death(WRITES + 1, FaultKind.FAIL_BEFORE), Counting())
