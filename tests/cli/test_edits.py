"""``conveyor jobs update``, ``priority``, ``delay``, ``discard`` and ``fail``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

STORE = ("--store", "sqlite:///jobs.db")


def test_a_job_is_changed_and_shown_as_it_is_then(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    job_id = add("send", {"to": "ada"})
    done = [{"id": job_id, "outcome": "done", "state": "waiting", "error": None}]
    assert conveyor("jobs", "update", job_id, "--data", '{"to": "bob"}', *STORE, "-o", "json").json == done
    assert conveyor("jobs", "priority", job_id, "--to", "-5", *STORE, "-o", "json").json == done
    assert conveyor("jobs", "discard", job_id, *STORE, "-o", "json").json == done
    delayed = conveyor("jobs", "delay", job_id, "--until", "2130-01-01T12:00", *STORE, "-o", "json").json
    assert delayed[0]["state"] == "delayed"
    shown = conveyor("jobs", "show", job_id, *STORE, "-o", "json").json
    assert (shown["payload"], shown["priority"]) == ({"to": "bob"}, -5)
    assert datetime.fromisoformat(shown["run_at"]) == datetime(2130, 1, 1, 12, tzinfo=UTC)
    failed = conveyor("jobs", "fail", job_id, "--reason", "withdrawn", *STORE, "-o", "json").json
    assert failed[0]["state"] == "failed"
    error = conveyor("jobs", "show", job_id, *STORE, "-o", "json").json["error"]
    assert (error["type"], error["message"]) == ("MovedToFailed", "withdrawn")


def test_a_delay_counts_from_now(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    job_id = add("send", {"to": "ada"})
    assert conveyor("jobs", "delay", job_id, "--by", "1 hour", *STORE).code == 0
    shown = conveyor("jobs", "show", job_id, *STORE, "-o", "json").json
    wait = datetime.fromisoformat(shown["run_at"]) - datetime.fromisoformat(shown["created_at"])
    assert 3600 <= wait.total_seconds() < 3700


@pytest.mark.parametrize("verb", [("update", "--data", "1"), ("priority", "--to", "1"), ("discard",), ("fail",)])
def test_a_settled_job_is_refused_and_an_unknown_one_not_found(
    conveyor: Callable[..., Ran], add: Callable[..., str], verb: tuple[str, ...]
) -> None:
    job_id = add("send", {"to": "ada"})
    assert conveyor("jobs", "cancel", job_id, *STORE).code == 0
    name, *arguments = verb
    ran = conveyor("jobs", name, job_id, *arguments, *STORE, "-o", "json")
    assert (ran.code, ran.json[0]["outcome"], ran.json[0]["state"]) == (5, "refused", "cancelled")
    assert conveyor("jobs", name, "f" * 36, *arguments, *STORE).code == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("delay",), "--by or --until"),
        (("delay", "--by", "1h", "--until", "2130-01-01"), "--by or --until"),
        (("delay", "--until", "soon"), "--until must be a time"),
        (("delay", "--by", "soon"), "--by"),
        (("update", "--data", "{to}"), "--data must be JSON"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_clear_words(
    conveyor: Callable[..., Ran], add: Callable[..., str], arguments: tuple[str, ...], said: str
) -> None:
    verb, *rest = arguments
    ran = conveyor("jobs", verb, add("send", {"to": "ada"}), *rest, *STORE)
    assert ran.code == 2
    assert said in ran.err
