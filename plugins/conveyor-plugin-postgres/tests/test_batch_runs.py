"""Batch jobs that are run over PostgreSQL: rows and steps in one commit, stopped, resumed, and told about."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import psycopg
import pytest

from conveyor import AbstractBatchJobStrategy, AesGcmCodec, BatchStatus, Conveyor
from conveyor.errors import StoreUnavailableError
from conveyor.testing import open_store
from conveyor.testing.faults import FaultKind, FaultScript, FaultyStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from conveyor.contracts.batch_job import BatchRun

pytestmark = pytest.mark.anyio

ROWS: Final = 4


class Shelving(AbstractBatchJobStrategy):
    """Writes a few rows, each with its step; `before` is called before each."""

    identifier = "shelving"
    batch_type = "shelve"

    def __init__(self, before: Callable[[BatchRun, int], Awaitable[object]] | None = None) -> None:
        self.before = before
        self.errors: list[Exception] = []

    async def process_job(self, batch_job_id: str, /) -> None:
        run = self.batch_jobs.run(batch_job_id)
        for number in range((run.cursor or 0) + 1, ROWS + 1):
            if self.before is not None:
                await self.before(run, number)
            try:
                async with run.transaction() as transaction:
                    await transaction.connection.execute("insert into shelved values ($1)", number)
                    transaction.save(cursor=number, done=number)
            except Exception as exc:
                self.errors.append(exc)
                raise
        run.set_result({"rows": run.batch_job.done})

    async def build_template(self) -> str:
        return ""


@asynccontextmanager
async def shelf(url: str) -> AsyncIterator[Callable[[], list[int]]]:
    """Make the user's own table, in which no row is twice; give what reads it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop table if exists shelved")
        connection.execute("create table shelved (number integer primary key)")
        yield lambda: [number for (number,) in connection.execute("select number from shelved order by number")]
        connection.execute("drop table shelved")


async def test_it_is_paused_resumed_and_completed_with_each_row_once(empty_url: str) -> None:
    async def pause(run: BatchRun, number: int) -> None:
        if number == 3 and len(run.batch_job.history) < 5:
            await app.batches.pause(run.batch_job.id, by="ada")

    codec = AesGcmCodec({"a": AesGcmCodec.new_key()})
    app = Conveyor(empty_url, batch_strategies=[Shelving(pause)], payload_codec=codec)
    async with shelf(empty_url) as numbers, app, app.worker():
        batch = await app.batches.create("shelve", {"from": "cellar"}, created_by="ada")
        with anyio.fail_after(30):
            async with app.batches.events(batch.id) as events:
                async for event in events:
                    if event.change is not None and event.change.after is BatchStatus.PAUSED:
                        assert numbers() == [1, 2, 3]
                        await batch.resume(by="ada")
        await batch.refresh()
        assert (batch.status, batch.result) == (BatchStatus.COMPLETED, {"rows": ROWS})
        assert (numbers(), batch.data.steps, batch.context) == ([1, 2, 3, 4], ROWS, {"from": "cellar"})
        assert [change.by for change in batch.history if change.by] == ["ada"] * 3


async def test_a_dry_run_keeps_no_row(empty_url: str) -> None:
    app = Conveyor(empty_url, batch_strategies=[Shelving])
    async with shelf(empty_url) as numbers, app, app.worker():
        batch = await app.batches.create("shelve", {}, dry_run=True)
        await batch.wait_until_ended("30s")
        assert (batch.status, batch.progress.done, numbers()) == (BatchStatus.COMPLETED, ROWS, [])


@pytest.mark.parametrize("kind", [FaultKind.FAIL_BEFORE, FaultKind.LOSE_ANSWER])
async def test_a_commit_whose_answer_is_lost_is_looked_for(empty_url: str, kind: FaultKind) -> None:
    script = FaultScript()
    spoiled: list[int] = []

    async def spoil(run: BatchRun, number: int) -> None:
        if number == 2 and not spoiled:
            spoiled.append(number)
            script.spoil("commit_step", 1, kind)

    strategy = Shelving(spoil)
    async with shelf(empty_url) as numbers, open_store(empty_url) as store:
        app = Conveyor(FaultyStore(store, script), batch_strategies=[strategy])
        async with app, app.worker():
            batch = await app.batches.create("shelve", {})
            await batch.wait_until_ended("30s")
            assert (batch.status, numbers(), batch.data.steps) == (BatchStatus.COMPLETED, [1, 2, 3, 4], ROWS)
            assert all(isinstance(error, StoreUnavailableError) for error in strategy.errors)
            assert len(strategy.errors) == (kind is FaultKind.FAIL_BEFORE)
