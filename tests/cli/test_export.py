"""``conveyor jobs export``: every job that matches, whole, and as a program reads it."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import Conveyor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

STORE = ("--store", "sqlite:///jobs.db")
MANY = 1201


@pytest.fixture
def many(folder: Path) -> int:
    """More jobs than one page holds."""

    async def add_many() -> None:
        async with Conveyor("sqlite:///jobs.db") as app:

            @app.queue("mails").job()
            async def send(number: int) -> None: ...

            await send.add_many([send.new(number) for number in range(MANY)])

    anyio.run(add_many)
    return MANY


@pytest.mark.parametrize("output", ["jsonl", "json", "csv"])
def test_every_job_is_exported_once(conveyor: Callable[..., Ran], many: int, output: str) -> None:
    ran = conveyor("jobs", "export", *STORE, "-o", output)
    assert ran.err == f"exported {many:,} jobs\n".replace(",", " ")
    if output == "csv":
        numbers = [json.loads(row["payload"])["number"] for row in csv.DictReader(io.StringIO(ran.out))]
    else:
        jobs = ran.json if output == "json" else [json.loads(line) for line in ran.out.splitlines()]
        numbers = [job["payload"]["number"] for job in jobs]
    assert sorted(numbers) == list(range(many))


def test_what_matches_is_exported_as_the_list_shows_it(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": "ada"})
    add("count", {}, "numbers")
    listed = conveyor("jobs", "list", "--queue", "numbers", *STORE, "-o", "json").json["jobs"]
    assert conveyor("jobs", "export", "--queue", "numbers", *STORE, "-o", "json").json == listed
    assert conveyor("jobs", "export", "--text", "nobody", *STORE, "-o", "json").json == []
    assert conveyor("jobs", "export", "--queue", "number", *STORE).code == 3


def test_a_file_is_written_whole_and_never_over_another(
    conveyor: Callable[..., Ran], add: Callable[..., str], folder: Path
) -> None:
    job_id = add("send", {"to": "ada"})
    ran = conveyor("jobs", "export", *STORE, "--file", "jobs.jsonl")
    assert (ran.code, ran.out) == (0, "")
    assert json.loads((folder / "jobs.jsonl").read_text())["id"] == job_id
    again = conveyor("jobs", "export", *STORE, "--file", "jobs.jsonl")
    assert again.code == 5
    assert "there is a file" in again.err
    assert conveyor("jobs", "export", *STORE, "--file", "nowhere/jobs.jsonl").code == 1
    assert sorted(path.name for path in folder.glob("jobs.jsonl*")) == ["jobs.jsonl"]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum"])
def test_a_spreadsheet_is_given_no_formula_unless_asked_for(
    conveyor: Callable[..., Ran], add: Callable[..., str], name: str
) -> None:
    add(name, {}, "numbers")

    def names(*arguments: str) -> list[str]:
        out = conveyor("jobs", "export", *STORE, "-o", "csv", *arguments).out
        return [row["name"] for row in csv.DictReader(io.StringIO(out))]

    assert names() == [f"'{name}"]
    assert names("--raw") == [name]
