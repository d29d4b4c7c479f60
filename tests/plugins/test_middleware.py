"""Middleware from plugins: named by the app, opened with it, and nothing without its name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from conveyor import Conveyor
from conveyor.errors import ConfigurationError, UnknownStrategyError
from tests.plugins.strangers import middleware_module

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conveyor import NewJob
    from conveyor.model.job import JobData
    from conveyor.model.queries import AddReceipt
    from tests.plugins.strangers import Strangers

pytestmark = pytest.mark.anyio


async def test_middleware_that_is_named_wraps_adds_and_runs_and_is_opened_with_the_app(strangers: Strangers) -> None:
    module = strangers.install("noting", middleware_module("noting"))
    app = Conveyor("memory://", middleware=["noting"])

    @app.queue("work").job()
    async def rest() -> None: ...

    assert strangers.imported == []
    async with app, app.worker():
        await (await rest.add()).result(timeout="10s")
    assert sys.modules[module].LOG == ["init", "add", "run", "destroy"]


async def test_middleware_that_nobody_names_is_not_used(strangers: Strangers) -> None:
    strangers.install("noting", middleware_module("noting"))
    async with Conveyor("memory://") as app:
        await app.queue("work").add("rest")
    assert strangers.imported == []


async def test_a_name_that_no_plugin_answers_to_is_told_when_the_app_is_opened(strangers: Strangers) -> None:
    strangers.install("noting", middleware_module("noting"))
    app = Conveyor("memory://", middleware=["nothing"])
    with pytest.raises(UnknownStrategyError, match="no middleware is called 'nothing': did you mean 'noting'"):
        async with app:
            pytest.fail("it was opened")


class Passing:
    """A middleware whose answer a test chooses."""

    answer: Callable[[Sequence[AddReceipt]], Any] = staticmethod(lambda receipts: receipts)

    async def around_add(self, jobs: Sequence[NewJob], call_next: Any, /) -> Any:
        return self.answer(await call_next(jobs))

    async def around_run(self, job: JobData, call_next: Any, /) -> object:
        return await call_next()


@pytest.mark.parametrize(("answer", "found"), [(lambda receipts: receipts[1:], "1 of them"), (lambda _: None, "None")])
async def test_a_middleware_that_answers_for_other_jobs_is_named(answer: Any, found: str) -> None:
    passing = Passing()
    passing.answer = answer
    async with Conveyor("memory://", middleware=[passing]) as app:
        work = app.queue("work").job(name="rest")(_rest)
        with pytest.raises(
            ConfigurationError, match=f"around_add of Passing .* each of its 2 jobs, and returned {found}"
        ):
            await work.add_many([work.new(), work.new()])


async def _rest() -> None: ...


def test_the_class_of_a_middleware_is_refused_when_it_is_given() -> None:
    with pytest.raises(ConfigurationError, match=r"give Passing\(\), not the class"):
        Conveyor("memory://", middleware=[Passing])  # type: ignore[list-item] # what is to be refused
