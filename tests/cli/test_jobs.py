"""``conveyor jobs``: found, shown, cancelled, run again."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from conveyor import Deduplication

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

APP = ("--app", "hello:app")

TALK = """
@mails.job()
async def talk(context: JobContext, file: str) -> None:
    context.log("one")
    while not Path(file).exists():
        await anyio.sleep(0.01)
    context.log("two")
"""


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
    assert table.out.splitlines()[0].split() == [
        "id",
        "queue",
        "name",
        "state",
        "attempts",
        "age",
        "took",
        "last",
        "error",
    ]
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


def test_jobs_are_found_by_their_error_their_attempts_and_their_times(
    conveyor: Callable[..., Ran], add: Callable[..., str], work: Callable[[], None]
) -> None:
    failed, fine = add("fail", {"reason": "no stamps"}), add("send", {"to": "ada"})
    work()
    waits = add("send", {"to": "bob"})

    def ids(*arguments: str) -> list[str]:
        return [job["id"] for job in conveyor("jobs", "list", *APP, "-o", "json", *arguments).json["jobs"]]

    assert ids("--error", "NO STAMPS") == [failed]
    assert ids("--min-attempts", "1") == [fine, failed]
    assert ids("--oldest-first") == [failed, fine, waits]
    assert ids("--finished-after", "1 hour") == [fine, failed]
    assert ids("--finished-before", "1 hour") == []
    assert ids("--created-after", "2020-01-01") == [waits, fine, failed]
    assert ids("--created-before", "2020-01-01T00:00+01:00") == []
    wrong = conveyor("jobs", "list", *APP, "--created-after", "yesterday")
    assert wrong.code == 2
    assert "--created-after takes a time" in wrong.err


def test_a_cursor_that_no_page_ended_with_is_refused(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    own = add("send", {"to": "ada"}, job_id="my-own")
    assert conveyor("jobs", "list", *APP, "--cursor", own).code == 0
    ran = conveyor("jobs", "list", *APP, "--cursor", "2")
    assert ran.code == 2
    assert "--cursor" in ran.err


def test_a_job_is_named_by_its_first_characters(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": "ada"}, job_id="order-2026-01")
    add("send", {"to": "bob"}, job_id="order-2026-02")
    assert conveyor("jobs", "show", "order-2026-02", *APP, "-o", "json").json["payload"] == {"to": "bob"}
    add("send", {"to": "eve"}, job_id="receipt-7")
    assert conveyor("jobs", "show", "receipt-", *APP, "-o", "json").json["payload"] == {"to": "eve"}
    assert conveyor("jobs", "show", "receipt", *APP).code == 3, "fewer than eight characters mean nothing"
    ran = conveyor("jobs", "cancel", "receipt-7", "order-20", *APP)
    assert ran.code == 2
    assert "order-2026-01, order-2026-02" in ran.err
    assert conveyor("jobs", "show", "receipt-7", *APP, "-o", "json").json["state"] == "waiting"


def test_each_attempt_is_shown_with_its_own_error_from_the_handler_on(
    conveyor: Callable[..., Ran], add: Callable[..., str], work: Callable[[], None]
) -> None:
    job_id = add("fail", {"reason": "no stamps"})
    work()
    conveyor("jobs", "rerun", job_id, *APP)
    work()
    text = conveyor("jobs", "show", job_id, *APP).out
    assert text.count("ValueError: no stamps") == 2
    assert "hello.py" in text
    assert "_runtime" not in text
    assert "last error" not in text


def test_logs_are_followed_until_the_job_ends(
    conveyor: Callable[..., Ran], start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path
) -> None:
    program = folder / "hello.py"
    program.write_text(program.read_text() + TALK)
    job_id = add("talk", {"file": "go"})
    following = start("jobs", "logs", job_id, *APP, "--follow", "-o", "jsonl")
    worker = start("worker", "hello:app")
    assert following.stdout is not None
    assert json.loads(following.stdout.readline())["message"] == "one"
    (folder / "go").touch()
    rest, _ = following.communicate(timeout=20)
    assert [json.loads(line)["message"] for line in rest.splitlines()] == ["two"]
    assert following.returncode == 0
    worker.terminate()
    assert conveyor("jobs", "logs", job_id, *APP, "--follow", "-o", "json").code == 2


def test_jobs_are_promoted_and_removed_by_id(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    job_id = add("send", {"to": "ada"}, delay=3600)
    assert conveyor("jobs", "promote", job_id, *APP, "-o", "json").json == [
        {"id": job_id, "outcome": "done", "state": "waiting", "error": None}
    ]
    assert conveyor("jobs", "promote", job_id, *APP).code == 5
    assert conveyor("jobs", "remove", job_id, *APP, "-o", "json").json == [
        {"id": job_id, "outcome": "done", "state": None, "error": None}
    ]
    assert conveyor("jobs", "remove", job_id, *APP).code == 3


def test_a_list_comes_as_csv_with_nothing_for_a_spreadsheet_to_run(
    conveyor: Callable[..., Ran], add: Callable[..., str]
) -> None:
    add("send", {"to": "ada"}, job_id="=cmd()")
    (row,) = csv.DictReader(io.StringIO(conveyor("jobs", "list", *APP, "-o", "csv").out))
    assert row["id"] == "'=cmd()"
    assert (json.loads(row["payload"]), row["state"], row["error"], row["priority"]) == (
        {"to": "ada"},
        "waiting",
        "",
        "0",
    )


def test_the_holder_of_a_deduplication_key_is_shown(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    job_id = add("send", {"to": "ada"}, deduplication=Deduplication(key="order-17"))
    assert add("send", {"to": "bob"}, deduplication=Deduplication(key="order-17")) == job_id
    shown = conveyor("jobs", "holder", "mails", "send", "order-17", *APP, "-o", "json")
    assert (shown.code, shown.json["id"], shown.json["attempts"]) == (0, job_id, [])
    assert job_id in conveyor("jobs", "holder", "mails", "send", "order-17", *APP).out


def test_the_holder_is_found_by_its_data_where_that_is_its_key(
    conveyor: Callable[..., Ran], add: Callable[..., str]
) -> None:
    job_id = add("send", {"to": "ada", "at": 7}, deduplication=Deduplication(hash=True))
    shown = conveyor("jobs", "holder", "mails", "send", "--data", '{"at": 7, "to": "ada"}', *APP, "-o", "json")
    assert (shown.code, shown.json["id"]) == (0, job_id)


@pytest.mark.parametrize(
    ("asked", "code", "named"),
    [
        (("--data", '{"to": "bob"}'), 3, 'the data {"to": "bob"}'),
        (("--data", "{"), 2, "--data must be JSON"),
        (("order-17", "--data", "{}"), 2, "give the key, or,"),
        ((), 2, "give the key, or,"),
    ],
)
def test_a_holder_is_asked_for_by_key_or_by_data(
    conveyor: Callable[..., Ran], add: Callable[..., str], asked: tuple[str, ...], code: int, named: str
) -> None:
    add("send", {"to": "ada"}, deduplication=Deduplication(hash=True))
    ran = conveyor("jobs", "holder", "mails", "send", *asked, *APP)
    assert (ran.code, ran.out) == (code, "")
    assert named in ran.err


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (("mails", "send", "order-18"), "'order-18'"),
        (("mails", "fail", "order-17"), "'fail'"),
        (("mials", "send", "order-17"), "did you mean 'mails'?"),
    ],
)
def test_a_key_that_nobody_holds_is_not_found(
    conveyor: Callable[..., Ran], add: Callable[..., str], asked: tuple[str, ...], named: str
) -> None:
    add("send", {"to": "ada"}, deduplication=Deduplication(key="order-17"))
    ran = conveyor("jobs", "holder", *asked, *APP)
    assert (ran.code, ran.out) == (3, "")
    assert named in ran.err
