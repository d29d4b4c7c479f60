"""Middleware from plugins: named by the app, opened with it, and nothing without its name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from conveyor import Conveyor
from conveyor.errors import UnknownStrategyError
from tests.plugins.strangers import middleware_module

if TYPE_CHECKING:
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
