"""``conveyor jobs``: found, shown, cancelled, run again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

APP = ("--app", "hello:app")


def test_jobs_are_listed_by_what_is_asked_for(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    ada = add("send", {"to": "ada@example.com"}, tags=("vip",))
    later = add("send", {"to": "bob@example.com"}, delay=3600)
    other = add("count", {}, "numbers")

    def ids(*arguments: str) -> list[str]:
        return [job["id"] for job in conveyor("jobs", "list", *APP, "-o", "json", *arguments).json["jobs"]]

    assert ids() == [other, later, ada]
    assert ids("--queue", "mails") == [later, ada]
    assert ids("--queue", "mails", "numbers", "--state", "waiting") == [other, ada]
    assert ids("--name", "count") == [other]
    assert ids("--tag", "vip") == [ada]
    assert ids("--text", "BOB@") == [later]


def test_a_list_goes_on_after_its_cursor(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    first, second = add("send", {"to": "a"}), add("send", {"to": "b"})
    page = conveyor("jobs", "list", *APP, "--limit", "1", "-o", "json").json
    assert [job["id"] for job in page["jobs"]] == [second]
    page = conveyor("jobs", "list", *APP, "--limit", "1", "-o", "json", "--cursor", page["next_cursor"]).json
    assert [job["id"] for job in page["jobs"]] == [first]
    assert "--cursor" in conveyor("jobs", "list", *APP, "--limit", "1").err


def test_each_format_keeps_data_on_stdout(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    job_id = add("send", {"to": "ada"})
    table = conveyor("jobs", "list", *APP)
    assert table.out.splitlines()[0].split() == ["id", "queue", "name", "state", "attempts", "age", "last", "error"]
    assert table.out.splitlines()[1].split()[:5] == [job_id, "mails", "send", "waiting", "0/1"]
    lines = conveyor("jobs", "list", *APP, "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["payload"] for line in lines] == [{"to": "ada"}]
    assert conveyor("jobs", "list", *APP, "--text", "nobody").out == ""


def test_what_a_job_carries_cannot_steer_the_terminal(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    job_id = add("send", {"to": "\x1b[2J"}, metadata={"note": "\x1b]0;x\x07"})
    for arguments in (("list",), ("show", job_id), ("show", job_id, "-o", "json")):
        assert "\x1b" not in conveyor("jobs", *arguments, *APP).out


def test_an_unknown_state_lists_the_states_and_an_unknown_queue_the_nearest(
    conveyor: Callable[..., Ran], add: Callable[..., str]
) -> None:
    add("send", {"to": "ada"})
    ran = conveyor("jobs", "list", *APP, "--state", "runing")
    assert ran.code == 2
    assert "waiting_children" in ran.err
    ran = conveyor("jobs", "list", *APP, "--queue", "mials")
    assert ran.code == 3
    assert "did you mean 'mails'?" in ran.err


def test_a_job_is_shown_with_its_error_attempts_and_logs(
    conveyor: Callable[..., Ran], add: Callable[..., str], work: Callable[[], None]
) -> None:
    job_id = add("fail", {"reason": "no stamps"})
    work()
    shown = conveyor("jobs", "show", job_id, *APP, "-o", "json").json
    assert shown["state"] == "failed"
    assert shown["error"]["message"] == "no stamps"
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["failed"]
    assert [entry["message"] for entry in shown["logs"]] == ["about to fail"]
    text = conveyor("jobs", "show", job_id, *APP).out
    for part in ("no stamps", "Traceback", "about to fail", "#1", '"reason"'):
        assert part in text


def test_the_result_of_a_job_is_shown(
    conveyor: Callable[..., Ran], add: Callable[..., str], work: Callable[[], None]
) -> None:
    job_id = add("send", {"to": "ada"})
    work()
    assert conveyor("jobs", "show", job_id, *APP, "-o", "jsonl").json["result"] == "sent to ada"
    assert "sent to ada" in conveyor("jobs", "show", job_id, *APP).out


def test_logs_are_printed_whole_or_their_end(
    conveyor: Callable[..., Ran], add: Callable[..., str], work: Callable[[], None]
) -> None:
    job_id = add("fail", {"reason": "no stamps"})
    work()
    conveyor("jobs", "rerun", job_id, *APP)
    work()
    assert [line.split()[-1] for line in conveyor("jobs", "logs", job_id, *APP).out.splitlines()] == ["fail", "fail"]
    assert len(conveyor("jobs", "logs", job_id, *APP, "--tail", "1", "-o", "json").json) == 1
    assert conveyor("jobs", "logs", "nobody", *APP).code == 3


def test_cancel_and_rerun_tell_what_became_of_each_job(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    job_id = add("send", {"to": "ada"})
    refused = conveyor("jobs", "rerun", job_id, *APP, "-o", "json")
    assert (refused.code, refused.json[0]["outcome"], refused.json[0]["state"]) == (5, "refused", "waiting")
    assert conveyor("jobs", "cancel", job_id, *APP, "--reason", "no more", "-o", "json").json == [
        {"id": job_id, "outcome": "done", "state": "cancelled", "error": None}
    ]
    mixed = conveyor("jobs", "rerun", job_id, "nobody", *APP, "-o", "jsonl")
    assert mixed.code == 3
    assert [json.loads(line)["outcome"] for line in mixed.out.splitlines()] == ["done", "not_found"]
    assert conveyor("jobs", "show", job_id, *APP, "-o", "json").json["state"] == "waiting"


def test_a_job_that_is_not_there_is_not_found(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("jobs", "show", "nobody", "--store", "memory://")
    assert ran.code == 3
    assert "no job 'nobody'" in ran.err
