"""Idle seats wake one another: all of them where jobs wait, few where none does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest

from conveyor import BatchOptions, Conveyor
from conveyor._runtime.board import SEATS_WOKEN, Board
from conveyor._runtime.outbox import Outbox
from conveyor._runtime.slots import Slot
from conveyor._runtime.wakeup import Wakeup
from conveyor.model.locks import LockToken
from conveyor.testing import make_job

if TYPE_CHECKING:
    from conveyor.model.job import JobData

pytestmark = pytest.mark.anyio

SEATS: Final = 20


class Sleeper:
    """A seat that counts how often it is woken."""

    job = None
    is_settled = False

    def __init__(self) -> None:
        self.wakes = 0

    def wake(self) -> None:
        """Count it."""
        self.wakes += 1

    def lose(self) -> None: ...


async def test_a_delivery_does_not_wake_a_seat_for_each_job() -> None:
    board = Board("s", Outbox(Wakeup()))
    seats = [Sleeper() for _ in range(SEATS)]
    board.idle.extend(seats)
    board.deliver([make_job(id=str(n), token=LockToken("s", 1)) for n in range(SEATS)], anyio.current_time())
    assert sum(seat.wakes for seat in seats) == SEATS_WOKEN


async def test_jobs_that_wait_are_all_started_by_one_delivery() -> None:
    board = Board("s", Outbox(Wakeup()))

    async def wait_for_ever(_job: JobData, _caller: object) -> None:
        await anyio.sleep_forever()

    executor: Any = SimpleNamespace(board=board, call=wait_for_ever)
    async with anyio.create_task_group() as tasks:
        for _ in range(SEATS):
            tasks.start_soon(Slot(executor).run)
        await anyio.wait_all_tasks_blocked()
        board.deliver([make_job(id=str(n), token=LockToken("s", 1)) for n in range(SEATS)], anyio.current_time())
        await anyio.wait_all_tasks_blocked()
        assert len(board.running) == SEATS
        tasks.cancel_scope.cancel()


async def test_what_is_ready_joins_a_batch_that_waits_for_nobody() -> None:
    app = Conveyor("memory://")
    queue = app.queue("q")
    sizes: list[int] = []
    over = anyio.Event()

    @queue.job(batch=BatchOptions(size=SEATS))
    async def count(numbers: list[int]) -> list[None]:
        sizes.append(len(numbers))
        if sum(sizes) == SEATS:
            over.set()
        return [None] * len(numbers)

    async with app:
        await count.add_many([count.new(number) for number in range(SEATS)])
        async with app.worker("q", concurrency=SEATS):
            await over.wait()
    assert sizes == [SEATS]
