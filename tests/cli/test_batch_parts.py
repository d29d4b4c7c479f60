"""``conveyor batch show``: the parts of a batch job, in words and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor._cli.discovery import load_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

STRATEGY = """
from attrs import frozen
from conveyor import ErrorPolicy, RowBatchStrategy
from conveyor.contracts.row_batches import NoParams

@frozen
class Number:
    value: int

class Numbers(RowBatchStrategy[Number, NoParams]):
    identifier = batch_type = "numbers"
    row = Number
    params = NoParams
    chunk_size = 5
    parts = 2
    errors = ErrorPolicy.skip()

    async def source(self, context, cursor):
        for value in range((cursor or 0) + 1, 21):
            yield Number(value), value

    async def process_one(self, row, context):
        if row.value == 13:
            raise ValueError("unlucky")

app = Conveyor("sqlite:///jobs.db", batch_strategies=[Numbers])
"""


@pytest.fixture
def batch_id(folder: Path) -> str:
    """The id of a batch job that ran in two parts."""
    with (folder / "hello.py").open("a") as file:
        file.write(STRATEGY)

    async def run() -> str:
        async with load_app("hello:app") as app, app.worker():
            batch = await app.batches.create("numbers", {})
            await batch.wait_until_ended("20s")
            return batch.id

    return anyio.run(run)


def test_the_parts_of_a_batch_job_are_shown(conveyor: Callable[..., Ran], batch_id: str) -> None:
    shown = conveyor("batch", "show", batch_id, "--app", "hello:app", "-o", "json").json
    assert (shown["parts"], shown["parts_done"], shown["done"], shown["counts"]["failed"]) == (2, 2, 20, 1)
    assert [(part["number"], part["status"], part["done"]) for part in shown["each_part"]] == [
        (1, "completed", 10),
        (2, "completed", 10),
    ]
    assert shown["each_part"][1]["counts"] == {"done": 9, "failed": 1}
    told = conveyor("batch", "show", batch_id, "--app", "hello:app").out
    assert "\nparts\npart" in told
    assert [line.split() for line in told.splitlines() if " completed " in line] == [
        ["1", "completed", "10", "0"],
        ["2", "completed", "10", "1"],
    ]
