"""``conveyor doctor payloads``: what waits is read with the code at hand, and what would fail is listed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio

from conveyor import Conveyor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

APP = ("--app", "orders:app")
ORDERS = """
from dataclasses import dataclass
from conveyor import Conveyor

app = Conveyor("sqlite:///jobs.db")
orders = app.queue("orders")

@dataclass
class Line:
    sku: str

def from_old(version, arguments):
    return {"lines": [{"sku": arguments["sku"]}]}

@orders.job(version=2, upgrade=from_old)
async def ship(lines: list[Line]) -> None: ...
"""


def test_what_would_fail_is_listed_with_its_path_and_counted(
    conveyor: Callable[..., Ran], folder: Path, add: Callable[..., str]
) -> None:
    (folder / "orders.py").write_text(ORDERS)
    add("ship", {"lines": [{"sku": "pen"}]}, "orders", version=2)
    add("ship", {"sku": "pen"}, "orders")
    first = add("ship", {"lines": [{"sku": "pen"}, {"sku": 5}]}, "orders", version=2)
    second = add("ship", {"lines": [{"sku": 7}]}, "orders", version=2, delay=60)
    old = add("ship", {"code": "pen"}, "orders")
    newer = add("ship", {}, "orders", version=3)
    unknown = add("shop", {}, "orders")

    ran = conveyor("doctor", "payloads", *APP, "-o", "json")
    assert ran.code == 1
    found = ran.json
    assert (found["checked"], found["failing"]) == (7, 5)
    by_id = {job["id"]: job for job in found["jobs"]}
    assert by_id.keys() == {first, second, old, newer, unknown}
    assert by_id[first] == {
        "id": first,
        "queue_name": "orders",
        "name": "ship",
        "state": "waiting",
        "version": 2,
        "path": "$.lines[1].sku",
        "reason": "Expected `str`, got `int`",
    }
    assert by_id[second]["state"] == "delayed"
    assert "upgrade from version 1 raised KeyError" in by_id[old]["reason"]
    assert "version 3, newer than 2" in by_id[newer]["reason"]
    assert (by_id[unknown]["path"], "no handler called 'shop'" in by_id[unknown]["reason"]) == (None, True)
    groups = {(group["name"], group["path"]): group for group in found["groups"]}
    assert found["groups"][0] == groups["ship", "$.lines[].sku"]
    assert groups["ship", "$.lines[].sku"]["count"] == 2
    assert set(groups["ship", "$.lines[].sku"]["ids"]) == {first, second}

    lines = conveyor("doctor", "payloads", *APP, "-o", "jsonl").out.splitlines()
    assert {json.loads(line)["id"] for line in lines} == by_id.keys()
    table = conveyor("doctor", "payloads", *APP)
    assert table.out.splitlines()[1].split()[:4] == ["2", "orders", "ship", "$.lines[].sku"]
    assert "looked at 7 jobs that are not settled: this code would not run 5" in table.err


def test_nothing_is_listed_where_every_job_fits(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": "ada"})
    ran = conveyor("doctor", "payloads", "--app", "hello:app")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "looked at 1 job that is not settled: this code reads every one\n"
    assert conveyor("doctor", "payloads", "--app", "hello:app", "-o", "json").json == {
        "checked": 1,
        "failing": 0,
        "groups": [],
        "jobs": [],
    }


def test_settled_jobs_are_not_looked_at(
    conveyor: Callable[..., Ran], add: Callable[..., str], work: Callable[[], None]
) -> None:
    add("fail", {"reason": "no"})
    work()
    assert conveyor("doctor", "payloads", "--app", "hello:app", "-o", "json").json["checked"] == 0


def test_queues_and_the_number_of_jobs_can_be_narrowed(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": 5})
    add("send", {"to": "ada"})
    add("other", {}, "else")
    given = ("doctor", "payloads", "--app", "hello:app", "--queue", "mails")
    assert conveyor(*given, "-o", "json").json["checked"] == 2
    assert conveyor(*given, "--limit", "1").code == 0
    assert conveyor(*given, "--limit", "2").code == 1
    assert conveyor("doctor", "payloads", "--app", "hello:app", "--queue", "mials").code == 3


def test_jobs_of_every_page_are_looked_at(conveyor: Callable[..., Ran], folder: Path) -> None:
    async def add_many() -> None:
        async with Conveyor("sqlite:///jobs.db") as app:
            mails = app.queue("mails")
            await mails.add_many([mails.new("send", {"to": number}) for number in range(2500)])

    anyio.run(add_many)
    found = conveyor("doctor", "payloads", "--app", "hello:app", "-o", "json").json
    assert (found["checked"], found["failing"], len(found["jobs"])) == (2500, 2500, 2500)
    assert [(group["count"], len(group["ids"])) for group in found["groups"]] == [(2500, 3)]
    assert conveyor("doctor", "payloads", "--app", "hello:app", "--limit", "1500", "-o", "json").json["checked"] == 1500


def test_it_needs_an_app_and_neither_makes_nor_migrates_a_store(conveyor: Callable[..., Ran], folder: Path) -> None:
    ran = conveyor("doctor", "payloads", "--store", "sqlite:///jobs.db")
    assert (ran.code, "no app is named" in ran.err) == (2, True)
    assert conveyor("doctor", "payloads", "--app", "hello:app").code in (4, 6)
    assert not (folder / "jobs.db").exists()
