"""Tracebacks as commands show them: they begin at the handler, or at the middleware that raised."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from conveyor import Conveyor
from conveyor._builtin.inline_queue import InlineJobQueue, InlineOptions
from conveyor._cli.jobs.tracebacks import without_inner_frames

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from conveyor.model.job import JobData, NewJob
    from conveyor.model.queries import AddReceipt

pytestmark = pytest.mark.anyio


class Passing:
    """Middleware that passes everything on."""

    async def around_add(
        self, jobs: Sequence[NewJob], call_next: Callable[[Sequence[NewJob]], Awaitable[Sequence[AddReceipt]]], /
    ) -> Sequence[AddReceipt]:
        return await call_next(jobs)

    async def around_run(self, job: JobData, call_next: Callable[[], Awaitable[object]], /) -> object:
        return await call_next()


class Translating(Passing):
    """Middleware that raises an error of its own for that of a handler."""

    async def around_run(self, job: JobData, call_next: Callable[[], Awaitable[object]], /) -> object:
        try:
            return await call_next()
        except ValueError as exc:
            raise KeyError(job.name) from exc


async def shown(handler: Any, middleware: Sequence[Passing]) -> list[list[str]]:
    """Run a handler, and return the functions of each traceback that is shown of it, outermost first."""
    app = Conveyor("memory://", middleware=middleware)
    added = app.queue("work").job(name="handle")(handler)
    async with app, app.worker():
        job = await (await added.add()).wait_until_finished(timeout="10s")
    assert job.data.error is not None
    parts = without_inner_frames(job.data.error.traceback).split("Traceback (most recent call last):")[1:]
    return [re.findall(r'File ".*", line \d+, in (\w+)', part) for part in parts]


def inner() -> None:
    """Raise, below a handler."""
    raise ValueError("x")


async def on_loop() -> None:
    """Raise on the event loop."""
    inner()


def in_thread() -> None:
    """Raise in a thread."""
    inner()


@pytest.mark.parametrize("middleware", [[], [Passing()], [Passing(), Passing()]])
@pytest.mark.parametrize("handler", [on_loop, in_thread])
async def test_a_traceback_begins_at_the_handler(handler: Any, middleware: Sequence[Passing]) -> None:
    assert await shown(handler, middleware) == [[handler.__name__, "inner"]]


async def test_a_traceback_of_middleware_begins_there_and_that_of_its_cause_at_the_handler() -> None:
    assert await shown(on_loop, [Passing(), Translating()]) == [["on_loop", "inner"], ["around_run", "around_run"]]


async def test_a_traceback_of_a_job_that_ran_inline_in_a_handler_is_shown_from_the_outer_handler_on() -> None:
    app = Conveyor("memory://", job_queue=InlineJobQueue(InlineOptions(raise_on_failure=True)), middleware=[Passing()])
    queue = app.queue("work")
    second = queue.job(name="second")(on_loop)

    @queue.job()
    async def first() -> None:
        await second.add()

    async with app:
        with pytest.raises(ValueError, match="x"):
            await first.options(job_id="first").add()
        error = (await app.jobs.get("first")).data.error
    assert error is not None
    functions = re.findall(r'File ".*", line \d+, in (\w+)', without_inner_frames(error.traceback))
    assert functions[0] == "first"
    assert functions[-2:] == ["on_loop", "inner"]
