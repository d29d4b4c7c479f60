"""Deadlines: what ended long before its time is not kept until then."""

from __future__ import annotations

import anyio
import pytest

from conveyor._runtime.deadlines import SLACK, Deadlines

pytestmark = pytest.mark.anyio


class Run:
    """A run that may be over."""

    def __init__(self) -> None:
        self.is_over = False
        self.is_overdue = anyio.Event()

    def matters(self) -> bool:
        return not self.is_over

    def pass_by(self) -> None:
        self.is_overdue.set()


async def test_what_is_over_is_forgotten_and_what_goes_on_is_not() -> None:
    deadlines = Deadlines()
    lasting = Run()
    deadlines.watch(0.01, lasting)
    for _ in range(10 * SLACK):
        ended = Run()
        ended.is_over = True
        deadlines.watch(3600, ended)
    assert len(deadlines._heap) <= 2 * SLACK
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(deadlines.run)
        with anyio.fail_after(10):
            await lasting.is_overdue.wait()
        tasks.cancel_scope.cancel()
