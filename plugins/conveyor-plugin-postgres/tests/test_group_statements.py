"""What groups cost in statements, those within the database's functions too: as many for many of them as for a few."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import pytest
import uuid_utils
from conveyor_plugin_postgres import adding, fetching, settling
from conveyor_plugin_postgres.low_water import Start
from conveyor_plugin_postgres.part import Part
from conveyor_plugin_postgres.statements import Statements
from plans import Plans

from conveyor.model.groups import Group
from conveyor.model.job import AttemptOutcome, NewJob
from conveyor.model.locks import LockToken
from conveyor.model.options import JobOptions
from conveyor.model.queries import Want
from conveyor.model.settlement import Settlement
from conveyor.model.states import Command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conveyor_plugin_postgres.part import Row

LOCK: Final = timedelta(seconds=30)
SESSION: Final = "f" * 32
QUEUE: Final = "default"
FEW: Final = 3
MANY: Final = 30
# Who has run a statement so often has a plan for all arguments by then, unless the server makes one anew each time.
OFTEN: Final = 8


class Counting:
    """Jobs of which each has a group of its own, or none, and the statements that were run for them."""

    def __init__(self, connection: Any) -> None:
        self.part = Part(connection, Statements(), None)
        self._plans = Plans(connection)
        self._number = 0

    async def open(self) -> None:
        """Have a session, and the server count."""
        await self.part.execute("sessions/open", SESSION, "here", 1, "none", [QUEUE], LOCK, None, 1, "", None)
        # The first groups of a queue make it known as one with groups; that is done once.
        await self.add(1)
        await self.work_off(1)
        await self._plans.watch()

    async def add(self, count: int, *, is_grouped: bool = True) -> int:
        """Add jobs and return how many statements that took."""
        jobs = [
            NewJob(
                str(uuid_utils.uuid7()), QUEUE, "noop", b"[]", JobOptions(group=Group(f"g-{n}") if is_grouped else None)
            )
            for n in range(count)
        ]
        self._plans.take()
        await adding.save_jobs(self.part, jobs)
        return len(self._plans.take())

    async def fetch(self, count: int, *excluded: str) -> list[Row]:
        """Fetch no more jobs than these, and none of these groups."""
        self._number += 1
        fetch = fetching.fetch_columns(
            [Want(QUEUE, count, exclude_groups=excluded)], Start((None,), (0,)), SESSION, LOCK, self._number
        )
        return list(await fetching.fetch_jobs(self.part, fetch))

    async def work_off(self, count: int, *excluded: str) -> None:
        """Fetch jobs, none of these groups, and complete them."""
        rows = await self.fetch(count, *excluded)
        assert len(rows) == count
        token = LockToken(SESSION, self._number)
        await settling.settle_jobs(
            self.part,
            [Settlement(row[0], QUEUE, token, Command.COMPLETE, AttemptOutcome.COMPLETED) for row in rows],
        )

    async def look_in_vain(self) -> int:
        """Fetch where nothing waits, and return how many statements that took."""
        self._plans.take()
        assert await self.fetch(MANY) == []
        return len(self._plans.take())

    async def conditions_of_a_fetch(self) -> list[str]:
        """Fetch a job, and return by what indexes were looked into for it."""
        self._plans.take()
        assert len(await self.fetch(1)) == 1
        return [node["Index Cond"] for node in self._plans.take_nodes() if "Index Cond" in node]

    async def count_groups(self) -> int:
        """Return how many groups take turns."""
        found: int = await self.part.connection.fetchval("select count(*) from conveyor.queue_groups")
        return found

    async def count_new_groups(self) -> int:
        """Return how many have no place in the round that is written down."""
        found: int = await self.part.connection.fetchval("select count(*) from conveyor.queue_groups where at is null")
        return found


@asynccontextmanager
async def counting(url: str) -> AsyncIterator[Counting]:
    connection: Any = await asyncpg.connect(url)
    try:
        made = Counting(connection)
        await made.open()
        yield made
    finally:
        await connection.close()


def test_many_groups_are_added_with_as_many_statements_as_a_few(empty_url: str) -> None:
    async def check() -> None:
        async with counting(empty_url) as made:
            few = await made.add(FEW)
            assert await made.add(MANY) == few
            assert await made.add(MANY) == few  # they are there already
            # Whether they have groups is seen with no statement.
            assert await made.add(MANY, is_grouped=False) < few

    asyncio.run(check())


def test_groups_of_which_nothing_waits_leave_together(empty_url: str) -> None:
    async def check() -> None:
        async with counting(empty_url) as made:
            statements = []
            for number in (FEW, MANY):
                await made.add(number)
                await made.work_off(number)
                assert await made.count_groups() == number
                statements.append(await made.look_in_vain())
                assert await made.count_groups() == 0
            assert statements[0] == statements[1]

    asyncio.run(check())


def test_groups_join_with_their_first_turn_or_when_the_round_goes_on(empty_url: str) -> None:
    async def check() -> None:
        async with counting(empty_url) as made:
            await made.add(MANY)
            await made.work_off(FEW, "g-1")
            # One was there before.
            assert await made.count_new_groups() == MANY - 1 - FEW
            # All others have a turn, and some a second: the round goes on, and who was left out stands where it stood.
            await made.add(MANY)
            await made.work_off(MANY, "g-1")
            assert await made.count_new_groups() == 0

    asyncio.run(check())


@pytest.mark.parametrize("is_grouped", [False, True])
def test_no_statement_of_a_fetch_is_planned_each_time(empty_url: str, *, is_grouped: bool) -> None:
    """A plan for these arguments alone names the queue; one for all arguments has a place for it."""

    async def check() -> None:
        async with counting(empty_url) as made:
            await made.add(MANY, is_grouped=is_grouped)
            for _ in range(OFTEN):
                await made.work_off(1)
            conditions = await made.conditions_of_a_fetch()
            assert len(conditions) > 1
            assert [condition for condition in conditions if QUEUE in condition] == []

    asyncio.run(check())
