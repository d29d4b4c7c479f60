"""``conveyor queues``: counted, paused, resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
