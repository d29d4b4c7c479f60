"""Batch strategies from plugins: named by the app, opened with it, once however often it is opened."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest

from conveyor import Conveyor
from conveyor.errors import ConfigurationError, PluginError

if TYPE_CHECKING:
    from tests.plugins.strangers import Strangers

pytestmark = pytest.mark.anyio

STRATEGY: Final = """from conveyor import AbstractBatchJobStrategy, hookimpl
from conveyor.contracts.providers import BatchStrategyProvider

LOG = []

class Resting(AbstractBatchJobStrategy):
    identifier = "resting"
    batch_type = "rest"

    async def init(self, injector):
        await super().init(injector)
        LOG.append("init")

    async def destroy(self):
        LOG.append("destroy")

    async def process_job(self, batch_job_id):
        LOG.append(self.batch_jobs.run(batch_job_id).context["reason"])

    async def build_template(self):
        return ""

@hookimpl
def conveyor_batch_strategies():
    return [BatchStrategyProvider("resting", Resting, 1)]
"""


async def test_one_that_is_named_processes_its_type(strangers: Strangers) -> None:
    module = strangers.install("resting", STRATEGY)
    app = Conveyor("memory://", batch_strategies=["resting"])
    assert strangers.imported == []
    for _ in range(2):
        async with app, app.worker():
            await (await app.batches.create("rest", {"reason": "tea"})).wait_until_ended("10s")
    assert sys.modules[module].LOG == ["init", "tea", "destroy"] * 2
    assert app.batches.types() == ["rest"]


async def test_one_that_nobody_names_is_not_used(strangers: Strangers) -> None:
    strangers.install("resting", STRATEGY)
    async with Conveyor("memory://") as app:
        assert app.batches.types() == []
    assert strangers.imported == []


async def test_two_of_one_type_are_refused_when_the_app_opens(strangers: Strangers) -> None:
    strangers.install("resting", STRATEGY)
    strangers.install("sleeping", STRATEGY.replace('"resting"', '"sleeping"').replace("Resting", "Sleeping"))
    app = Conveyor("memory://", batch_strategies=["resting", "sleeping"])
    with pytest.raises(ConfigurationError, match=r"of type 'rest'.*Resting.*Sleeping"):
        async with app:
            pytest.fail("it was opened")


async def test_one_that_is_broken_is_named_with_its_cause(strangers: Strangers) -> None:
    strangers.install("resting", "raise ImportError('no tea')")
    app = Conveyor("memory://", batch_strategies=["resting"])
    with pytest.raises(PluginError, match="no tea"):
        async with app:
            pytest.fail("it was opened")
