"""``conveyor jobs cancel`` and the like, of all jobs that match: counted, agreed to, reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

STORE = ("--store", "sqlite:///jobs.db")


def states(conveyor: Callable[..., Ran]) -> list[str]:
    """Return the states of all jobs, newest first."""
    return [job["state"] for job in conveyor("jobs", "list", *STORE, "-o", "json").json["jobs"]]


def test_all_jobs_that_match_are_changed_and_counted(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": "ada"})
    add("send", {"to": "bob"}, delay=3600)
    add("count", {}, "numbers")
    ran = conveyor("jobs", "cancel", "--queue", "mails", "--yes", *STORE, "-o", "json")
    assert ran.code == 0
    assert ran.json == {"command": "cancel", "matched": 2, "done": 2, "skipped": []}
    assert "this will cancel 2 jobs of queue mails in state waiting or waiting_children or delayed" in ran.err
    assert states(conveyor) == ["waiting", "cancelled", "cancelled"]
    assert conveyor("jobs", "rerun", "--state", "cancelled", "-y", *STORE).out == "rerun: 2 jobs of 2 jobs\n"
    assert states(conveyor) == ["waiting"] * 3
    assert conveyor("jobs", "remove", "--all", "-y", *STORE, "-o", "json").json["done"] == 3


def test_without_a_terminal_nothing_is_changed_unless_it_was_agreed_to(
    conveyor: Callable[..., Ran], add: Callable[..., str]
) -> None:
    add("send", {"to": "ada"})
    ran = conveyor("jobs", "cancel", "--queue", "mails", *STORE)
    assert (ran.code, ran.out) == (2, "")
    assert "this will cancel 1 job of queue mails" in ran.err
    assert "--yes" in ran.err
    assert states(conveyor) == ["waiting"]


@pytest.mark.parametrize(("typed", "is_agreed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("", False)])
def test_at_a_terminal_the_answer_counts(
    conveyor: Callable[..., Ran],
    add: Callable[..., str],
    at_terminal: Callable[[str], None],
    *,
    typed: str,
    is_agreed: bool,
) -> None:
    add("send", {"to": "ada"})
    at_terminal(typed)
    ran = conveyor("jobs", "cancel", "--queue", "mails", *STORE)
    assert ran.code == (0 if is_agreed else 1)
    assert "Go on? [y/N]" in ran.err
    assert states(conveyor) == ["cancelled" if is_agreed else "waiting"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "--all"),
        (("an-id", "--queue", "mails"), 2, "not both"),
        (("--state", "completed"), 5, "cancel does not fit jobs that are completed"),
        (("--queue", "mials"), 3, "did you mean 'mails'?"),
        (("--state", "runing"), 2, "waiting_children"),
    ],
)
def test_what_is_unclear_is_refused_before_anything_is_changed(
    conveyor: Callable[..., Ran], add: Callable[..., str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    add("send", {"to": "ada"})
    ran = conveyor("jobs", "cancel", *arguments, *STORE, "--yes")
    assert ran.code == code
    assert said in ran.err
    assert states(conveyor) == ["waiting"]


def test_where_nothing_matches_nobody_is_asked(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": "ada"})
    ran = conveyor("jobs", "promote", "--queue", "mails", *STORE, "-o", "json")
    assert (ran.code, ran.err) == (0, "no job matches\n")
    assert ran.json == {"command": "promote", "matched": 0, "done": 0, "skipped": []}
