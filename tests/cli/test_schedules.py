"""``conveyor schedules``: what there is, in words; pause, resume, run, remove, next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor._cli.discovery import load_app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

STORE = ("--store", "sqlite:///jobs.db")
SCHEDULE = """
mails.cron("0 9 * * mon-fri", "send", {"to": "ada"}, id="morning", tz="Europe/Berlin")
mails.every("2 hours", "fail", {"reason": "none"})
"""


@pytest.fixture(autouse=True)
def declared(folder: Path) -> None:
    """Let the app declare schedules, and be opened once."""
    with (folder / "hello.py").open("a") as file:
        file.write(SCHEDULE)

    async def open_app() -> None:
        async with load_app("hello:app"):
            pass

    anyio.run(open_app)


def test_schedules_are_listed_in_words(conveyor: Callable[..., Ran]) -> None:
    shown = conveyor("schedules", "list", *STORE).out
    assert "every 2 hours" in shown
    assert "at 09:00 on Monday through Friday (Europe/Berlin)" in shown
    first, second = conveyor("schedules", "list", *STORE, "-o", "json").json
    assert (first["id"], second["id"]) == ("mails:fail", "morning")
    assert (second["payload"], second["rule"]["cron"]) == ({"to": "ada"}, "0 9 * * mon-fri")
    assert second["next_run_at"] > second["created_at"]
    assert conveyor("schedules", "list", *STORE, "-o", "csv").out.startswith("id,queue_name,")


def test_one_is_shown(conveyor: Callable[..., Ran]) -> None:
    shown = conveyor("schedules", "show", "morning", *STORE, "-o", "json").json
    assert (shown["queue_name"], shown["name"], shown["fired_count"]) == ("mails", "send", 0)


def test_one_is_paused_and_resumed(conveyor: Callable[..., Ran]) -> None:
    assert conveyor("schedules", "pause", "morning", *STORE, "-o", "json").json["is_paused"]
    assert conveyor("schedules", "next", "morning", *STORE, "-o", "json").json == []
    assert "paused" in conveyor("schedules", "list", *STORE).out
    assert not conveyor("schedules", "resume", "morning", *STORE, "-o", "json").json["is_paused"]


def test_its_next_fires_are_listed(conveyor: Callable[..., Ran]) -> None:
    fires = conveyor("schedules", "next", "mails:fail", "--count", "3", *STORE, "-o", "json").json
    assert len({fire["at"] for fire in fires}) == 3
    assert conveyor("schedules", "next", "mails:fail", "--count", "0", *STORE).code == 2


def test_one_is_run_now(conveyor: Callable[..., Ran]) -> None:
    job_id = conveyor("schedules", "run", "morning", *STORE, "-o", "json").json["job_id"]
    job = conveyor("jobs", "show", job_id, *STORE, "-o", "json").json
    assert (job["name"], job["payload"]) == ("send", {"to": "ada"})


def test_a_look_declares_nothing(conveyor: Callable[..., Ran]) -> None:
    assert conveyor("schedules", "remove", "morning", *STORE, "-o", "json").json == {"id": "morning", "removed": True}
    left = conveyor("schedules", "list", "--app", "hello:app", "-o", "json").json
    assert [schedule["id"] for schedule in left] == ["mails:fail"]


@pytest.mark.parametrize("command", ["show", "pause", "resume", "run", "remove", "next"])
def test_an_unknown_one_is_not_found_and_the_nearest_named(conveyor: Callable[..., Ran], command: str) -> None:
    ran = conveyor("schedules", command, "mornin", *STORE)
    assert (ran.code, ran.out) == (3, "")
    assert "did you mean 'morning'?" in ran.err


def test_no_schedules_are_said_on_stderr(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("schedules", "list", "--store", "memory://")
    assert (ran.code, ran.out, ran.err) == (0, "", "no schedules\n")
