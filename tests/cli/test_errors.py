"""``conveyor errors``: groups of failed jobs, one of them, and running its jobs again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

APP = ("--app", "hello:app")


@pytest.fixture(autouse=True)
def failed(add: Callable[..., str], work: Callable[[], None]) -> None:
    """Let two jobs fail alike, and one otherwise."""
    add("fail", {"reason": "no stamps for 17"})
    add("fail", {"reason": "no stamps for 4"})
    add("fail", {"reason": "the box is too small"})
    work()


def test_groups_are_listed_and_shown(conveyor: Callable[..., Ran]) -> None:
    listed = conveyor("errors", "list", *APP, "-o", "json").json
    counts = {group["message"]: group["count"] for group in listed["groups"]}
    assert counts == {"no stamps for 4": 2, "the box is too small": 1}
    assert listed["next_cursor"] is None
    table = conveyor("errors", "list", *APP).out
    assert "ValueError: no stamps for 4" in table
    (stamps,) = [group for group in listed["groups"] if group["count"] == 2]
    shown = conveyor("errors", "show", stamps["id"], *APP, "-o", "json").json
    assert shown == stamps | {"traceback": shown["traceback"]}
    assert "raise ValueError(reason)" in shown["traceback"]
    read = conveyor("errors", "show", stamps["id"], *APP)
    assert "hello.py" in read.out
    assert "executor.py" not in read.out
    assert f"conveyor jobs rerun --error-group {stamps['id']}" in read.err


def test_groups_are_listed_a_page_at_a_time(conveyor: Callable[..., Ran]) -> None:
    first = conveyor("errors", "list", *APP, "--limit", "1", "-o", "jsonl")
    cursor = first.err.strip().partition("--cursor ")[2]
    second = conveyor("errors", "list", *APP, "--cursor", cursor, "-o", "jsonl")
    one, other = json.loads(first.out), json.loads(second.out)
    assert one["id"] != other["id"]
    assert conveyor("errors", "list", *APP, "--cursor", "2nd").code == 2


def test_the_jobs_of_a_group_run_again(conveyor: Callable[..., Ran]) -> None:
    groups = conveyor("errors", "list", *APP, "-o", "json").json["groups"]
    (stamps,) = [group for group in groups if group["count"] == 2]
    assert conveyor("jobs", "rerun", "--error-group", stamps["id"], "--yes", *APP).code == 0
    (left,) = conveyor("errors", "list", *APP, "-o", "json").json["groups"]
    assert left["message"] == "the box is too small"


def test_only_some_are_listed_and_unknown_names_are_told(conveyor: Callable[..., Ran]) -> None:
    nobody = conveyor("errors", "list", *APP, "--name", "send")
    assert (nobody.code, nobody.out) == (0, "")
    assert "no job is failed" in nobody.err
    assert conveyor("errors", "list", *APP, "--queue", "nails").code == 3
    unknown = conveyor("errors", "show", "abc", *APP)
    assert unknown.code == 3
    assert "error group 'abc'" in unknown.err
