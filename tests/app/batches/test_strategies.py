"""Batch strategies: which are taken, how they are opened, and what they may leave out."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conveyor import BatchStatus, Conveyor
from conveyor.contracts.batch_job import BatchJobService
from conveyor.errors import BatchJobError, CapabilityError, ConfigurationError, UnknownStrategyError
from tests.app.batches.strategies import Counting, SeedOnly

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor.contracts.strategy import Injector

pytestmark = pytest.mark.anyio


async def test_a_strategy_with_nothing_but_the_seeds_methods_works(store_url: str) -> None:
    strategy = SeedOnly()
    app = Conveyor(store_url, batch_strategies=[strategy])
    async with app, app.worker():
        batch = await app.batches.create("seed", {"file": "a"})
        await batch.wait_until_ended("10s")
        assert batch.status is BatchStatus.COMPLETED
        assert strategy.processed == [batch.id]
        assert await app.batches.template("seed") == ""


def test_classes_and_instances_are_taken() -> None:
    app = Conveyor("memory://", batch_strategies=[Counting, SeedOnly()])
    assert app.batches.types() == ["count", "seed"]


def test_two_of_one_type_are_refused_by_name() -> None:
    class Another(Counting):
        identifier = "another"

    with pytest.raises(ConfigurationError, match=r"of type 'count'.*Counting.*Another"):
        Conveyor("memory://", batch_strategies=[Counting, Another])


def test_two_of_one_identifier_are_refused_by_name() -> None:
    class Another(Counting):
        batch_type = "another"

    with pytest.raises(ConfigurationError, match=r"called 'counting'.*Counting.*Another"):
        Conveyor("memory://", batch_strategies=[Counting, Another])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"process_job": None}, "lacks process_job"),
        ({"build_template": None}, "lacks build_template"),
        ({"identifier": None}, "lacks identifier"),
        ({"batch_type": ""}, "batch type must be"),
        ({"batch_type": "create"}, "no colon"),
        ({"batch_type": "a:b"}, "no colon"),
        ({"on_cancel": lambda self, batch_id: None}, "on_cancel .* must be an async method"),
        ({"confirmation": "maybe"}, "confirmation .* automatic, manual"),
        ({"max_running": 0}, "max_running .* at least 1"),
        ({"confirm_above": True}, "confirm_above .* at least 0"),
        ({"identifying": "file"}, "identifying .* must name fields"),
    ],
)
def test_what_is_wrong_about_a_strategy_is_named(changes: dict[str, Any], said: str) -> None:
    wrong = type("Wrong", (SeedOnly,), changes)
    with pytest.raises(ConfigurationError, match=said):
        Conveyor("memory://", batch_strategies=[wrong()])


def test_strategies_are_a_list() -> None:
    with pytest.raises(ConfigurationError, match="must be a list"):
        Conveyor("memory://", batch_strategies="counting")


async def test_an_unknown_type_names_those_that_are_known(store_url: str) -> None:
    app = Conveyor(store_url, batch_strategies=[Counting, SeedOnly])
    async with app:
        with pytest.raises(BatchJobError, match=r"'cuont': did you mean 'count'\? \(known: count, seed\)"):
            await app.batches.create("cuont", {})
        with pytest.raises(BatchJobError, match="known: count, seed"):
            await app.batches.template("orders")
        with pytest.raises(BatchJobError, match="known: count, seed"):
            app.batches.new("orders", {})


async def test_an_unknown_name_is_told_when_the_app_opens() -> None:
    app = Conveyor("memory://", batch_strategies=["no-such-strategy"])
    with pytest.raises(UnknownStrategyError, match="no batch strategy is called 'no-such-strategy'"):
        async with app:
            pass


async def test_an_open_app_takes_no_more_strategies() -> None:
    app = Conveyor("memory://")
    async with app:
        with pytest.raises(ConfigurationError, match="the app is open"):
            app.batches.register(Counting())


async def test_it_is_opened_with_the_app_and_finds_the_service() -> None:
    log: list[str] = []

    class Lasting(SeedOnly):
        @asynccontextmanager
        async def lifespan(self, injector: Injector) -> AsyncIterator[None]:
            log.append(type(injector.get(BatchJobService)).__name__)
            yield
            log.append("closed")

    app = Conveyor("memory://", batch_strategies=[Lasting])
    for _ in range(2):
        async with app:
            assert log[-1] == "BatchRuns"
        assert log[-1] == "closed"


async def test_one_that_has_half_of_a_beginning_and_an_end_is_refused() -> None:
    class Half(SeedOnly):
        async def init(self, injector: Injector) -> None:
            """Opens, and would never be closed."""

    with pytest.raises(ConfigurationError, match="needs init"):
        async with Conveyor("memory://", batch_strategies=[Half]):
            pass


async def test_a_run_is_found_only_while_it_goes_on() -> None:
    strategy = Counting()
    async with Conveyor("memory://", batch_strategies=[strategy]):
        with pytest.raises(BatchJobError, match="not run in this program"):
            strategy.batch_jobs.run("import-1")


async def test_where_jobs_are_in_no_store_there_are_no_batch_jobs() -> None:
    app = Conveyor("memory://", job_queue="inline", batch_strategies=[SeedOnly])
    async with app:
        with pytest.raises(CapabilityError, match="batches"):
            await app.batches.create("seed", {})


async def test_no_more_run_at_once_than_the_strategy_says(store_url: str) -> None:
    at_once: list[int] = []
    running = 0

    class Narrow(SeedOnly):
        max_running = 2

        async def process_job(self, batch_job_id: str) -> None:
            nonlocal running
            running += 1
            at_once.append(running)
            await service[0].get(batch_job_id)
            running -= 1

        async def init(self, injector: Injector) -> None:
            service.append(injector.get(BatchJobService))

        async def destroy(self) -> None:
            service.clear()

    service: list[BatchJobService] = []
    app = Conveyor(store_url, batch_strategies=[Narrow])
    async with app, app.worker():
        batches = [await app.batches.create("seed", {}) for _ in range(10)]
        for batch in batches:
            await batch.wait_until_ended("10s")
        assert max(at_once) <= 2
        report = await app.queue("batches").limits()
        assert report.limits.names["seed"].concurrency == 2
    Narrow.max_running = 3
    if store_url != "memory://":
        other = Conveyor(store_url, batch_strategies=[Narrow])
        with pytest.raises(ConfigurationError, match="max_running=3"):
            async with other, other.worker():
                pass
