"""``conveyor queues``: counted, paused, resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

STORE = ("--store", "sqlite:///jobs.db")


def test_queues_are_listed_with_their_counts(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": "ada"})
    add("send", {"to": "bob"}, delay=3600)
    (queue,) = conveyor("queues", "list", *STORE, "-o", "json").json
    assert queue["name"] == "mails"
    assert (queue["counts"]["waiting"], queue["counts"]["delayed"], len(queue["counts"])) == (1, 1, 7)
    assert queue["oldest_waiting_at"] is not None
    assert (queue["is_paused"], queue["paused_job_names"]) == (False, [])
    title, row = conveyor("queues", "list", *STORE).out.splitlines()
    assert title.split()[:3] == ["queue", "waiting", "waiting_children"]
    assert row.split()[:4] == ["mails", "1", "0", "1"]


def test_a_queue_is_paused_and_resumed_whole_or_by_job_name(
    conveyor: Callable[..., Ran], add: Callable[..., str]
) -> None:
    add("send", {"to": "ada"})
    assert conveyor("queues", "pause", "mails", *STORE, "-o", "json").json["is_paused"] is True
    named = conveyor("queues", "pause", "mails", "--job-name", "send", *STORE, "-o", "json").json
    assert named == {"name": "mails", "is_paused": True, "paused_job_names": ["send"]}
    assert "yes, send" in conveyor("queues", "list", *STORE).out
    assert conveyor("queues", "resume", "mails", *STORE, "-o", "json").json["is_paused"] is False


def test_a_queue_that_nobody_has_seen_is_not_found_unless_forced(
    conveyor: Callable[..., Ran], add: Callable[..., str]
) -> None:
    add("send", {"to": "ada"})
    ran = conveyor("queues", "pause", "mials", *STORE)
    assert ran.code == 3
    assert "did you mean 'mails'?" in ran.err
    assert conveyor("queues", "pause", "mials", "--force", *STORE).code == 0


def test_a_queue_that_the_app_has_handlers_for_is_known(conveyor: Callable[..., Ran]) -> None:
    conveyor("store", "migrate", "--app", "hello:app")
    assert conveyor("queues", "pause", "mails", "--app", "hello:app").code == 0


def test_a_store_without_queues_says_so_on_stderr(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("queues", "list", "--store", "memory://")
    assert (ran.code, ran.out, ran.err) == (0, "", "no queue in memory\n")
    assert conveyor("queues", "list", "--store", "memory://", "-o", "json").json == []


def test_a_queue_is_drained_of_what_has_not_started(
    conveyor: Callable[..., Ran], add: Callable[..., str], work: Callable[[], None]
) -> None:
    add("send", {"to": "ada"})
    work()
    add("send", {"to": "bob"})
    add("send", {"to": "eve"}, delay=3600)
    refused = conveyor("queues", "drain", "mails", *STORE)
    assert (refused.code, refused.out) == (2, "")
    assert "this will remove 2 jobs of queue mails that have not started" in refused.err
    assert conveyor("queues", "drain", "mails", "--yes", *STORE, "-o", "json").json == {"name": "mails", "removed": 2}
    (queue,) = conveyor("queues", "list", *STORE, "-o", "json").json
    assert queue["counts"]["completed"] == 1
    empty = conveyor("queues", "drain", "mails", *STORE)
    assert (empty.code, empty.out, empty.err) == (0, "", "nothing to remove\n")


def test_a_queue_is_cleaned_of_what_ended_long_ago(
    conveyor: Callable[..., Ran], add: Callable[..., str], work: Callable[[], None]
) -> None:
    add("send", {"to": "ada"})
    add("fail", {"reason": "no stamps"})
    work()
    clean = ("queues", "clean", "mails", *STORE, "-o", "json")
    assert conveyor(*clean, "--state", "failed", "--older-than", "1 hour").json["removed"] == 0
    ran = conveyor(*clean, "--state", "failed", "--yes")
    assert (ran.json, ran.err) == (
        {"name": "mails", "removed": 1},
        "this will remove 1 job of queue mails that are failed\n",
    )
    assert conveyor(*clean, "--state", "waiting").code == 2
    assert conveyor(*clean, "--state", "failed", "--older-than", "long").code == 2
    (queue,) = conveyor("queues", "list", *STORE, "-o", "json").json
    assert (queue["counts"]["completed"], queue["counts"]["failed"]) == (1, 0)


def test_a_queue_is_cleaned_of_all_that_ended(
    conveyor: Callable[..., Ran], add: Callable[..., str], work: Callable[[], None]
) -> None:
    add("send", {"to": "ada"})
    add("fail", {"reason": "no stamps"})
    work()
    ran = conveyor("queues", "clean", "mails", *STORE, "-o", "json", "--yes")
    assert (ran.json, ran.err) == (
        {"name": "mails", "removed": 2},
        "this will remove 2 jobs of queue mails that are settled\n",
    )


def test_a_queue_is_obliterated_by_its_typed_name_only(
    conveyor: Callable[..., Ran], add: Callable[..., str], at_terminal: Callable[[str], None]
) -> None:
    add("send", {"to": "ada"})
    obliterate = ("queues", "obliterate", "mails", *STORE, "-o", "json")
    nobody = conveyor(*obliterate)
    assert nobody.code == 2
    assert "--yes-delete mails" in nobody.err
    at_terminal("mail\n")
    assert conveyor(*obliterate).code == 2
    assert conveyor(*obliterate, "--yes-delete", "mail").code == 2
    at_terminal("mails\n")
    ran = conveyor(*obliterate)
    assert "this will remove queue mails with 1 job. Type the name" in ran.err
    assert (ran.code, ran.json) == (0, {"name": "mails", "removed": 1})
    assert conveyor("queues", "list", *STORE, "-o", "json").json == []


@pytest.mark.parametrize(
    "arguments", [("drain", "mials"), ("clean", "mials", "--state", "failed"), ("obliterate", "mials")]
)
def test_an_unknown_queue_is_not_found_and_the_nearest_named(
    conveyor: Callable[..., Ran], add: Callable[..., str], arguments: tuple[str, ...]
) -> None:
    add("send", {"to": "ada"})
    ran = conveyor("queues", *arguments, *STORE)
    assert ran.code == 3
    assert "did you mean 'mails'?" in ran.err


def test_queues_come_as_csv(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": "ada"})
    heading, row = conveyor("queues", "list", *STORE, "-o", "csv").out.splitlines()
    assert heading == "name,counts,oldest_waiting_at,is_paused,paused_job_names"
    assert row.startswith("mails,")


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_name_that_is_not_set_is_not_every_name(
    conveyor: Callable[..., Ran], add: Callable[..., str], verb: str
) -> None:
    add("send", {"to": "ada"})
    if verb == "resume":
        conveyor("queues", "pause", "mails", *STORE)
    ran = conveyor("queues", verb, "mails", "--job-name", "", *STORE)
    assert ran.code == 2
    assert "job name must be a string of 1 to 255 characters" in ran.err
    (queue,) = conveyor("queues", "list", *STORE, "-o", "json").json
    assert queue["is_paused"] is (verb == "resume")
