"""``conveyor batch run`` over PostgreSQL: a file is checked, written with its steps, and its bad rows come back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHOP = """
import os

from attrs import frozen
from conveyor import Conveyor, ErrorPolicy, FileParams, RowBatchStrategy

@frozen
class Price:
    name: str
    price: int

class Prices(RowBatchStrategy[Price, FileParams]):
    identifier = batch_type = "prices"
    row = Price
    params = FileParams
    identifying = ("file",)
    errors = ErrorPolicy.skip()
    rollback_safe = True

    async def process(self, rows, context):
        values = [(row.name, row.price) for row in rows]
        await context.connection.executemany("insert into prices (name, price) values ($1, $2)", values)

app = Conveyor(os.environ["SHOP"], batch_strategies=[Prices])
"""


@pytest.fixture
def conveyor(tmp_path: Path, empty_url: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command of a shop whose prices are in the store's database."""
    (tmp_path / "shop.py").write_text(SHOP)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("drop table if exists prices")
        connection.execute("create table prices (name text primary key, price integer)")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "conveyor", "batch", *arguments, "--app", "shop:app", "-o", "json"]
        environment = os.environ | {"SHOP": empty_url}
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def prices(url: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute("select name, price from prices order by name").fetchall()


def test_a_file_is_tried_and_then_run_and_its_bad_rows_are_in_a_file(
    conveyor: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, empty_url: str
) -> None:
    (tmp_path / "prices.csv").write_text("name,price\ntea,1\nmilk,much\ntea,3\nrice,4\n")
    ran = conveyor("run", "prices", "prices.csv", "--dry-run")
    assert (ran.returncode, prices(empty_url)) == (0, []), ran.stderr
    ran = conveyor("run", "prices", "prices.csv", "--yes")
    assert (ran.returncode, prices(empty_url)) == (0, [("rice", 4), ("tea", 1)]), ran.stderr
    done = json.loads(ran.stdout)
    assert (done["status"], done["counts"]) == ("completed_with_errors", {"done": 2, "failed": 2})
    assert "2 bad rows in prices.errors-2.csv" in ran.stderr
    _, milk, tea = (tmp_path / "prices.errors-2.csv").read_text().splitlines()
    assert milk.startswith("milk,much,2,invalid_value,price,")
    assert tea.startswith("tea,3,3,not_unique,name,")
    # By the beginning of its id, and not the same file again.
    assert json.loads(conveyor("show", done["id"][:18]).stdout)["id"] == done["id"]
    again = conveyor("run", "prices", "prices.csv", "--yes")
    assert (again.returncode, done["id"] in again.stderr) == (5, True), again.stderr
