"""Masked fields: no command shows what they hold, unless it is asked to; handlers and the store have them as given."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor
from conveyor._cli.discovery import load_app
from conveyor.errors import ConfigurationError
from tests.cli.conftest import await_line

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

APP = ("--app", "hello:app")
SECRET = "hunter2-and-more"

LOGIN = """
import logging

@mails.job()
async def login(context: JobContext, user: str, password: str) -> dict[str, str]:
    context.log(f"try {password}")
    if user == "mallory":
        logging.getLogger("conveyor.mine").warning("password=%s", password)
        context.progress(1, message=f"gave up on {password}")
        raise ValueError(f"refused: {password}")
    return {"session": f"of {user} by {password}"}
"""


SEALED = """
from conveyor import AesGcmCodec

app = Conveyor("sqlite:///jobs.db", payload_codec=AesGcmCodec({"one": "A" * 43 + "="}))
mails = app.queue("mails")
"""


def only_group() -> str:
    """Return the id of the one group of failed jobs."""

    async def find() -> str:
        async with Conveyor("sqlite:///jobs.db") as app:
            (group,) = (await app.jobs.error_groups()).groups
            return group.id

    return anyio.run(find)


@pytest.fixture
def jobs(folder: Path, add: Callable[..., str], work: Callable[[], None]) -> list[str]:
    """One job that completed and one that failed; both know the secret."""
    with (folder / "hello.py").open("a") as file:
        file.write(LOGIN)
    metadata = {"x-api-key": SECRET}
    ids = [add("login", {"user": user, "password": SECRET}, metadata=metadata) for user in ("ada", "mallory")]
    work()
    return ids


def test_no_command_shows_a_secret_unless_it_is_asked_to(
    conveyor: Callable[..., Ran], jobs: list[str], folder: Path
) -> None:
    commands: list[tuple[str, ...]] = [
        ("jobs", "export"),
        ("jobs", "export", "-o", "csv"),
        *(("errors", "list", "-o", output) for output in ("table", "json", "jsonl", "csv")),
        *(("errors", "show", only_group(), "-o", output) for output in ("table", "json")),
        *(("jobs", "list", "-o", output) for output in ("table", "json", "jsonl", "csv")),
        *(("jobs", verb, job, "-o", o) for verb in ("show", "logs") for job in jobs for o in ("table", "json")),
    ]
    for command in commands:
        ran = conveyor(*command, *APP)
        assert ran.code == 0, ran.err
        assert SECRET not in ran.out + ran.err, command
        assert "***" in ran.out, command
        assert SECRET in conveyor(*command, *APP, "--unmasked").out, command


def test_what_is_kept_and_what_a_handler_got_is_not_masked(conveyor: Callable[..., Ran], jobs: list[str]) -> None:
    kept = conveyor("jobs", "show", jobs[0], *APP, "--unmasked", "-o", "json").json
    assert kept["payload"] == {"user": "ada", "password": SECRET}
    assert kept["result"] == {"session": f"of ada by {SECRET}"}
    shown = conveyor("jobs", "show", jobs[0], *APP, "-o", "json").json
    assert shown["payload"] == {"user": "ada", "password": "***"}
    assert shown["result"] == {"session": "of ada by ***"}
    assert shown["token"] == kept["token"]


def test_a_schedule_is_shown_without_them(conveyor: Callable[..., Ran], folder: Path) -> None:
    with (folder / "hello.py").open("a") as file:
        file.write(LOGIN)

    async def declare() -> None:
        async with Conveyor("sqlite:///jobs.db") as app:
            job = app.queue("mails").new("login", {"user": "ada", "password": SECRET})
            await app.schedules.upsert("login", job, every="1 hour")

    anyio.run(declare)
    for command in (("list", "-o", "json"), ("show", "login"), ("show", "login", "-o", "json")):
        ran = conveyor("schedules", *command, *APP)
        assert (ran.code, SECRET in ran.out) == (0, False), command
        assert SECRET in conveyor("schedules", *command, *APP, "--unmasked").out, command


def test_names_come_from_the_app_and_from_settings(
    conveyor: Callable[..., Ran], add: Callable[..., str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add("send", {"to": "ada", "iban": "AT61", "shoeSize": 39, "token": "t-1"})

    def payload() -> Any:
        return conveyor("jobs", "show", job_id, *APP, "-o", "json").json["payload"]

    assert payload() == {"to": "ada", "iban": "AT61", "shoeSize": 39, "token": "***"}
    hello = (folder / "hello.py").read_text()
    del sys.modules["hello"]
    (folder / "hello.py").write_text(hello.replace('jobs.db")', 'jobs.db", masked_fields=["iban"])'))
    (folder / "pyproject.toml").write_text("[tool.conveyor]\nmasked_fields = ['shoe_size', '!token']\n")
    assert payload() == {"to": "ada", "iban": "***", "shoeSize": "***", "token": "t-1"}
    monkeypatch.setenv("CONVEYOR_MASKED_FIELDS", "to, token")
    assert payload() == {"to": "***", "iban": "***", "shoeSize": 39, "token": "***"}
    setting = conveyor("config", "show", "-o", "json").json
    assert {"name": "masked_fields", "value": "to, token", "source": "CONVEYOR_MASKED_FIELDS"} in setting


def test_a_wrong_setting_is_refused_before_anything_is_shown(
    conveyor: Callable[..., Ran], jobs: list[str], folder: Path
) -> None:
    (folder / "pyproject.toml").write_text("[tool.conveyor]\nmasked_fields = 'iban'\n")
    ran = conveyor("jobs", "list", *APP)
    assert (ran.code, ran.out) == (2, "")
    assert "must be a list of names of fields, got 'iban'" in ran.err
    with pytest.raises(ConfigurationError, match="masked_fields= must hold names of fields"):
        Conveyor("memory://", masked_fields=[""])


def test_errors_of_commands_tell_no_secret(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("jobs", "list", "--store", f"nothing://ada:{SECRET}@db/jobs?password=x", "-v")
    assert ran.code == 2
    assert SECRET not in ran.err
    assert "Traceback" in ran.err


def test_a_worker_tells_no_secret(
    start: Callable[..., subprocess.Popen[str]], add: Callable[..., str], folder: Path
) -> None:
    with (folder / "hello.py").open("a") as file:
        file.write(LOGIN)
    add("login", {"user": "mallory", "password": SECRET})
    worker = start("worker", "hello:app", "--log-jobs", "--burst")
    _, err = worker.communicate(timeout=50)
    assert "failed mails/login" in err
    assert "refused: ***" in err
    assert "WARNING conveyor.mine: password=***" in err
    assert SECRET not in err
    assert worker.returncode == 0


def test_what_is_sealed_is_left_out_of_texts_too(
    conveyor: Callable[..., Ran], start: Callable[..., subprocess.Popen[str]], folder: Path
) -> None:
    with (folder / "hello.py").open("a") as file:
        file.write(SEALED + LOGIN)

    async def add() -> str:
        async with load_app("hello:app") as app:
            return (await app.queue("mails").add("login", {"user": "mallory", "password": SECRET})).id

    job_id = anyio.run(add)
    _, err = start("worker", "hello:app", "--log-jobs", "--burst").communicate(timeout=50)
    assert "refused: ***" in err
    assert SECRET not in err
    for command in (("jobs", "show", job_id), ("jobs", "list"), ("errors", "list"), ("errors", "show", only_group())):
        ran = conveyor(*command, *APP, "-o", "json")
        assert (ran.code, SECRET in ran.out) == (0, False), command
        assert "refused: ***" in ran.out, command


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, {"progress": "gave up on ***", "failed": "refused: ***"}),
        # Nothing was heard of it before it was gone.
        ({"remove_on_fail": True}, {"failed": "***"}),
    ],
)
def test_events_tell_no_secret_and_no_words_of_a_job_that_is_gone(
    start: Callable[..., subprocess.Popen[str]],
    add: Callable[..., str],
    folder: Path,
    options: dict[str, Any],
    told: dict[str, str],
) -> None:
    with (folder / "hello.py").open("a") as file:
        file.write(LOGIN)
    add("send", {"to": "ada"})
    wanted = ("-o", "jsonl", "--kind", *told, "--limit", str(len(told)))
    watchers = [start("events", *APP, *wanted), start("events", *APP, *wanted, "--unmasked")]
    for watcher in watchers:
        await_line(watcher, "watching")
    add("login", {"user": "mallory", "password": SECRET}, **options)
    start("worker", "hello:app", "--burst").communicate(timeout=50)
    masked, unmasked = (watcher.communicate(timeout=50)[0] for watcher in watchers)
    events = {event["kind"]: event for event in map(json.loads, masked.splitlines())}
    assert {kind: event.get("error", event.get("progress"))["message"] for kind, event in events.items()} == told
    assert events["failed"]["error"]["type"] == "ValueError"
    assert SECRET not in masked
    assert f"refused: {SECRET}" in unmasked
