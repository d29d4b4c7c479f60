"""``conveyor store``: checked, migrated, printed."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cli.conftest import await_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

STORE = ("--store", "sqlite:///jobs.db")


def test_a_store_that_fits_is_described(conveyor: Callable[..., Ran]) -> None:
    assert conveyor("store", "migrate", *STORE).code == 0
    ran = conveyor("store", "check", *STORE, "-o", "json")
    assert ran.code == 0
    assert (ran.json["is_reachable"], ran.json["is_schema_current"], ran.json["pending"]) == (True, True, [])
    assert (ran.json["store"], ran.json["url"]) == ("sqlite:jobs.db", "sqlite:///jobs.db")
    assert ran.json["guarantees"] == {"add": "power_loss", "settle": "power_loss"}
    assert ran.json["capabilities"]["is_durable"] is True
    assert "SQLite" in ran.json["notes"][0]
    assert "power_loss" in conveyor("store", "check", *STORE).out


def test_a_schema_that_is_behind_is_reported_and_then_migrated(conveyor: Callable[..., Ran]) -> None:
    Path("jobs.db").touch()
    behind = conveyor("store", "check", *STORE, "-o", "json")
    assert behind.code == 6
    assert behind.json["schema_found"] == 0
    assert "conveyor store migrate" in behind.err
    assert len(behind.json["pending"]) == behind.json["schema_wanted"]
    applied = conveyor("store", "migrate", *STORE, "-o", "json").json
    assert [f"{step['version']:04} {step['name']}" for step in applied] == behind.json["pending"]
    again = conveyor("store", "migrate", *STORE)
    assert (again.code, again.out, again.err) == (0, "", "the schema is up to date\n")


def test_a_schema_of_a_newer_conveyor_is_refused(conveyor: Callable[..., Ran]) -> None:
    conveyor("store", "migrate", *STORE)
    connection = sqlite3.connect("jobs.db")
    (table,) = connection.execute(
        "select name from sqlite_schema where type = 'table' and name like '%migration%' or name like '%schema%'"
    ).fetchone()
    connection.execute(f"update {table} set version = version + 1000")
    connection.commit()
    connection.close()
    for command in ("check", "migrate"):
        ran = conveyor("store", command, *STORE)
        assert ran.code == 6
        assert "upgrade conveyor" in ran.err


def test_a_store_that_cannot_be_reached_exits_4(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("store", "check", "--store", "sqlite:///no/such/folder/jobs.db")
    assert ran.code == 4
    assert "Traceback" not in ran.err


def test_migrations_are_printed_without_opening_anything(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("store", "sql", *STORE)
    assert ran.code == 0
    sqlite3.connect(":memory:").executescript(ran.out).connection.close()
    steps = conveyor("store", "sql", *STORE, "-o", "json").json
    assert steps[0].keys() == {"version", "name", "prepare", "up", "record", "down", "forget", "checksum"}
    assert "drop table" in conveyor("store", "sql", "--down", *STORE).out.lower()
    assert not Path("jobs.db").exists()


def run_sql(text: str) -> None:
    connection = sqlite3.connect("jobs.db")
    connection.executescript(text)
    connection.close()


def test_a_schema_that_printed_migrations_made_is_up_to_date(conveyor: Callable[..., Ran]) -> None:
    run_sql(conveyor("store", "sql", *STORE).out)
    assert conveyor("store", "check", *STORE).code == 0
    assert conveyor("store", "migrate", *STORE, "-o", "json").json == []
    run_sql(conveyor("store", "sql", "--down", *STORE).out)
    assert conveyor("store", "check", *STORE, "-o", "json").json["schema_found"] == 0
    run_sql(conveyor("store", "sql", *STORE).out)
    assert conveyor("store", "check", *STORE).code == 0


def test_tables_that_nobody_noted_a_migration_for_are_refused(conveyor: Callable[..., Ran]) -> None:
    run_sql("".join(step["up"] for step in conveyor("store", "sql", *STORE, "-o", "json").json))
    for command in ("check", "migrate"):
        ran = conveyor("store", command, *STORE)
        assert ran.code == 6
        assert "no note of the migrations" in ran.err


def test_tables_of_other_programs_are_left_alone(conveyor: Callable[..., Ran]) -> None:
    script = "".join(step["up"] for step in conveyor("store", "sql", *STORE, "-o", "json").json)
    made = re.findall(r"create (?:table|(?:unique )?index|trigger|view) (\w+)", script)
    assert len(made) > 30
    assert all(name.startswith("conveyor_") for name in made)
    run_sql("create table jobs (title text); insert into jobs values ('baker'); create table events (day text);")
    assert conveyor("store", "migrate", *STORE).code == 0
    assert conveyor("jobs", "list", *STORE).code == 0
    run_sql("update jobs set title = 'cook' where title = 'baker'")


def test_a_store_without_a_schema_has_nothing_to_do(conveyor: Callable[..., Ran]) -> None:
    assert conveyor("store", "sql", "--store", "memory://").out == ""
    assert conveyor("store", "check", "--store", "memory://").code == 0
    assert conveyor("store", "migrate", "--store", "memory://", "-o", "json").json == []


def test_an_app_with_an_open_store_has_no_url_to_check(conveyor: Callable[..., Ran]) -> None:
    script = "from conveyor import Conveyor\nclass Store:\n    name, jobs = 'own', None\napp = Conveyor(Store())\n"
    Path("own.py").write_text(script)
    ran = conveyor("store", "check", "--app", "own:app")
    assert ran.code == 2
    assert "use --store URL" in ran.err


def test_looking_leaves_no_file_behind(conveyor: Callable[..., Ran]) -> None:
    for command in (("store", "check"), ("jobs", "list"), ("queues", "list")):
        ran = conveyor(*command, *STORE)
        assert ran.code == 4
        assert "does not exist yet" in ran.err
        assert not Path("jobs.db").exists()


def test_stats_tell_what_is_in_the_store_and_what_it_does(
    conveyor: Callable[..., Ran], add: Callable[..., str], work: Callable[[], None], start: Callable[..., Any]
) -> None:
    add("send", {"to": "ada"})
    add("fail", {"reason": "no stamps"})
    work()
    add("count", {}, "numbers")
    await_line(start("worker", "hello:app", "--queues", "mails"), "jobs at once")
    stats = conveyor("store", "stats", "--store", "sqlite:///jobs.db", "-o", "json").json
    assert list(stats) == [
        "store",
        "size_bytes",
        "jobs",
        "counts",
        "queues",
        "oldest_waiting_at",
        "settled_last_hour",
        "workers",
    ]
    assert (stats["jobs"], stats["counts"]["waiting"], stats["counts"]["failed"]) == (3, 1, 1)
    assert {name: sum(counts.values()) for name, counts in stats["queues"].items()} == {"mails": 2, "numbers": 1}
    assert stats["settled_last_hour"] == {"completed": 1, "failed": 1, "cancelled": 0}
    assert stats["size_bytes"] > 10_000
    assert stats["oldest_waiting_at"] is not None
    (worker,) = stats["workers"]
    assert worker == conveyor("workers", "list", "--store", "sqlite:///jobs.db", "-o", "json").json[0] | {
        moment: worker[moment] for moment in ("last_seen_at", "lock_until")
    }
    assert (worker["backend"], worker["queue_names"]) == ("asyncio", ["mails"])
    text = conveyor("store", "stats", "--store", "sqlite:///jobs.db").out
    for part in ("size       ", "1 completed, 1 failed", "numbers", f"{worker['pid']} on", " ago"):
        assert part in text


def test_stats_of_an_empty_store_say_so(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("store", "stats", "--store", "memory://")
    assert (ran.code, ran.err) == (0, "no queue yet\n")
    assert conveyor("store", "stats", "--store", "memory://", "-o", "json").json["size_bytes"] is None
