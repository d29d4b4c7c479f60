"""What is shown before a file is processed: of masked columns, of an app that encrypts, and of what is no preview."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

STRATEGIES = """
from attrs import frozen
from conveyor import AbstractBatchJobStrategy, AesGcmCodec, BadRowError, ErrorPolicy, FileParams
from conveyor import RowBatchStrategy, RowOutcome, RowPreview

@frozen
class User:
    name: str
    token: int = 0
    plan: str = "small"

class Users(RowBatchStrategy[User, FileParams]):
    identifier = batch_type = "users"
    row = User
    params = FileParams
    errors = ErrorPolicy.skip()

    async def check(self, row, context):
        if row.plan == "SEKRET-PLAN":
            raise BadRowError("no_plan", "there is no such plan", "plan")
        return RowPreview(RowOutcome.UPDATED, {"token": (70707, row.token), "plan": ("small", row.plan)})

    async def process_one(self, row, context):
        return None

class Odd(AbstractBatchJobStrategy):
    identifier = batch_type = "odd"

    async def pre_process_batch_job(self, batch_job_id):
        run = self.batch_jobs.run(batch_job_id)
        run.set_total(3)
        run.set_result({"preview": {"first": ["x"]}})

    async def process_job(self, batch_job_id):
        pass

    async def build_template(self):
        return ""

strategies = [Users, Odd]
app = Conveyor("sqlite:///jobs.db", batch_strategies=strategies)
sealing = Conveyor("sqlite:///sealed.db", batch_strategies=strategies, payload_codec=AesGcmCodec({"k": b"0" * 32}))
"""


@pytest.fixture(autouse=True)
def declared(folder: Path) -> None:
    """Let the app process users, and put a file of four there, two of them bad."""
    with (folder / "hello.py").open("a") as file:
        file.write(STRATEGIES)
    (folder / "users.csv").write_text("name,token,plan\nada,1,big\nbob,SEKRET-CELL,big\ncy,3,SEKRET-PLAN\ndi,4,big\n")


def test_masked_columns_are_counted_and_not_shown(conveyor: Callable[..., Ran]) -> None:
    app = ("--app", "hello:app")
    ran = conveyor("batch", "run", "users", "users.csv", "--yes", *app, "-o", "json")
    assert ran.code == 0, ran.err
    assert "4 rows, read and checked in" in ran.err
    told = [line.split() for line in ran.err.splitlines()]
    assert ["1", "token", "***", "***"] in told
    assert ["1", "plan", "small", "big"] in told
    assert ["token", "invalid_value", "1"] in told
    assert ["2", "token", "***"] in told
    shown = [ran, *(conveyor("batch", "show", ran.json["id"], *app, "-o", output) for output in ("table", "json"))]
    assert [text for one in shown for text in ("SEKRET-CELL", "70707") if text in one.out + one.err] == []
    unmasked = conveyor("batch", "show", ran.json["id"], "--unmasked", *app).out
    assert "SEKRET-CELL" in unmasked
    assert "70707" in unmasked


def test_the_preview_of_an_app_that_encrypts_is_read_and_heeded(conveyor: Callable[..., Ran]) -> None:
    command = ("batch", "run", "users", "users.csv", "--yes", "--app", "hello:sealing", "-o", "json")
    ran = conveyor(*command, "--max-errors", "1")
    assert (ran.code, ran.out) == (5, "")
    assert "4 rows, read and checked in" in ran.err
    assert "2 bad rows, which is more than 1: nothing was written" in ran.err
    ran = conveyor(*command, "--dry-run")
    assert (ran.code, list(ran.json["result"])) == (0, ["$sealed"]), ran.err
    assert "nothing is kept: rows were only checked" in ran.err


def test_bad_rows_of_an_app_that_encrypts_need_its_key(conveyor: Callable[..., Ran], folder: Path) -> None:
    command = ("batch", "run", "users", "users.csv", "--yes", "--app", "hello:sealing", "-o", "json")
    batch = conveyor(*command).json["id"]
    store = ("--store", "sqlite:///sealed.db")
    ran = conveyor("batch", "errors", batch, "--errors-file", "bad.csv", "--app", "hello:app", *store)
    assert (ran.code, ran.out) == (1, "")
    assert "batch context of 'users' at $: is sealed, and this app has no payload_codec" in ran.err
    assert not (folder / "bad.csv").exists()
    ran = conveyor("batch", "errors", batch, "--errors-file", "bad.csv", "--app", "hello:sealing", *store)
    assert (ran.code, (folder / "bad.csv").exists()) == (0, True)


def test_nothing_is_created_in_a_store_without_its_schema(conveyor: Callable[..., Ran], folder: Path) -> None:
    (folder / "empty.db").touch()
    store = ("--store", "sqlite:///empty.db")
    ran = conveyor("batch", "create", "users", "--file", "users.csv", "--app", "hello:app", *store)
    assert (ran.code, ran.out) == (6, "")
    assert "run: conveyor store migrate" in ran.err
    assert not (folder / "conveyor_files").exists()


def test_what_a_strategy_calls_preview_itself_is_no_obstacle(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("batch", "run", "odd", "users.csv", "--yes", "--app", "hello:app", "-o", "json")
    assert (ran.code, ran.json["result"]) == (0, {"preview": {"first": ["x"]}}), ran.err
    assert "this will process 3 rows of users.csv" in ran.err


def test_all_wrong_columns_of_a_row_are_told(conveyor: Callable[..., Ran], folder: Path) -> None:
    (folder / "users.csv").write_text("token,name,plan\nSEKRET-CELL,,big\n2,bob,big\nx,,\n")
    command = ("batch", "run", "users", "users.csv", "--yes", "--app", "hello:app", "-o", "json")
    ran = conveyor(*command)
    assert (ran.code, ran.json["counts"]) == (0, {"failed": 2, "done": 1}), ran.err
    told = [line.split() for line in ran.err.splitlines()]
    assert ["token", "invalid_value", "2"] in told
    assert ["name", "missing_value", "2"] in told
    assert ["1", "token", "***"] in told
    assert ["1", "name", "the", "cell", "is", "empty"] in told
    errors = ("batch", "errors", ran.json["id"], "--app", "hello:app")
    first, second = conveyor(*errors, "-o", "json").json
    assert (first["column"], first["message"], first["row_number"]) == ("token", "***", 1)
    assert (
        first["also"] == second["also"] == [{"code": "missing_value", "message": "the cell is empty", "column": "name"}]
    )
    assert [line.split()[:2] for line in conveyor(*errors).out.splitlines()[1:]] == [
        ["1", "token"],
        ["1", "name"],
        ["3", "token"],
        ["3", "name"],
    ]
    lines = conveyor(*errors, "-o", "csv").out.splitlines()
    assert lines[2] == "1,missing_value,the cell is empty,name,,false"
    assert len(lines) == 5
    header, row, *_ = (folder / "users.errors.csv").read_text().splitlines()
    assert header == "token,name,plan,error_row,error_code,error_column,error_message"
    assert row.startswith("SEKRET-CELL,,big,1,invalid_value; missing_value,token; name,column 'token': ")
    unmasked = conveyor(*errors, "--unmasked", "-o", "json").json
    assert [fault["column"] for fault in unmasked[0]["also"]] == ["name"]


def test_after_a_dry_run_the_file_itself_is_to_be_mended(conveyor: Callable[..., Ran], folder: Path) -> None:
    ran = conveyor("batch", "run", "users", "users.csv", "--dry-run", "--app", "hello:app")
    assert ran.code == 0
    assert "2 bad rows in users.errors.csv; nothing was written, so mend them in the file itself" in ran.err
    ran = conveyor("batch", "run", "users", "users.csv", "--yes", "--app", "hello:app")
    assert "bad rows in users.errors-2.csv; mend them, and run that file" in ran.err
    assert (folder / "users.errors-2.csv").exists()


def test_an_error_file_that_cannot_be_written_does_not_hide_what_was_done(
    conveyor: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = folder / "there" / "bad.csv"
    bad.parent.mkdir()
    users = folder / "users.csv"
    monkeypatch.setattr("sys.stdin", _GoneMeanwhile(bad.parent))
    ran = conveyor("batch", "run", "users", str(users), "--errors-file", str(bad), "--app", "hello:app", "-o", "json")
    assert (ran.code, ran.json["status"]) == (1, "completed_with_errors")
    assert "cannot be written" in ran.err
    assert f"hint: they are kept: conveyor batch errors {ran.json['id']} --errors-file FILE" in ran.err


class _GoneMeanwhile:
    """Somebody at the terminal, who removes a directory before the answer."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        self.directory.rmdir()
        return "y\n"


class _Interrupting:
    """Somebody at the terminal, who presses Ctrl+C in place of an answer."""

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        raise KeyboardInterrupt


def test_ctrl_c_at_the_question_leaves_nothing_to_go_on(
    conveyor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", _Interrupting())
    command = ("batch", "run", "users", "users.csv", "--app", "hello:app")
    ran = conveyor(*command)
    assert (ran.code, ran.out) == (130, "")
    assert "stopped before anything was written; batch job" in ran.err
    (batch,) = conveyor("batch", "list", "--app", "hello:app", "-o", "json").json["batches"]
    assert (batch["status"], batch["history"][-1]["reason"]) == ("cancelled", "interrupted before it was confirmed")
    # So the same may be run again.
    assert conveyor(*command, "--yes").code == 0


def test_a_context_without_its_file_is_refused_with_the_option_that_names_one(conveyor: Callable[..., Ran]) -> None:
    conveyor("store", "migrate", "--app", "hello:app")
    ran = conveyor("batch", "create", "users", "--app", "hello:app")
    assert (ran.code, ran.out) == (5, "")
    assert "missing required field `file`" in ran.err
    assert "hint: if it is to work on a file, name that with --file" in ran.err
