"""Adds that met a key: what SQLite remembers of them, and for how long."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from conveyor.model.deduplication import ANSWERS_REMEMBERED, Deduplication
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.queries import Added, AddReceipt
from conveyor.testing.clocks import ManualClock
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.anyio

KEY = Deduplication(key="same")
KEPT = AddReceipt("first", Added.KEPT)


def jobs(*job_ids: str, payload: bytes = b"{}") -> Sequence[NewJob]:
    return [NewJob(job_id, "mail", "send", payload, JobOptions(), deduplication=KEY) for job_id in job_ids]


def remembered(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("select add_id from conveyor_deduplicated_adds order by seq")]


async def test_answers_are_forgotten_by_later_adds_that_meet_a_key(file: Path) -> None:
    clock = ManualClock()
    async with open_store(f"sqlite:///{file}", clock=clock) as store:
        await store.jobs.save_jobs(jobs("first", "a", "b", "c"))
        clock.advance(ANSWERS_REMEMBERED)
        await store.jobs.save_jobs(jobs("d"))
        assert remembered(file) == ["c", "d"]  # each clears away two
        await store.jobs.save_jobs(jobs("e"))
        assert remembered(file) == ["d", "e"]


async def test_answers_of_a_clock_that_was_set_back_are_forgotten_too(file: Path) -> None:
    ahead = ManualClock()
    ahead.advance(timedelta(days=365))
    async with open_store(f"sqlite:///{file}", clock=ahead) as store:
        await store.jobs.save_jobs(jobs("first", "a"))
    async with open_store(f"sqlite:///{file}", clock=ManualClock()) as store:
        await store.jobs.save_jobs(jobs("b"))
        assert remembered(file) == ["b"]


async def test_adds_of_one_id_that_met_a_key_together_are_each_answered_again(file: Path) -> None:
    adds = [*jobs("first", "a"), *jobs("a", payload=b"1"), *jobs("a", payload=b"2")]
    async with open_store(f"sqlite:///{file}", clock=ManualClock()) as store:
        first = await store.jobs.save_jobs(adds)
        assert first == [AddReceipt("first"), KEPT, KEPT, KEPT]
        assert remembered(file) == ["a"] * 3
        await store.jobs.remove_job("first")
        assert await store.jobs.save_jobs(adds[1:]) == first[1:]
