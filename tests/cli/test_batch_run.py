"""``conveyor batch run``: a file is checked, shown, asked about and processed in one command."""

from __future__ import annotations

import io
import signal
from typing import TYPE_CHECKING, Any

import pytest

from conveyor._cli.batches.previews import dry_run_lines, preview_lines
from conveyor.codec import find_preview
from tests.cli.conftest import await_file, await_line

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

APP = ("--app", "hello:app")

STRATEGY = """
from pathlib import Path

from conveyor import AbstractBatchJobStrategy, RowError, RowOutcome
from conveyor.contracts.file_storage import FileStorage

class Lines(AbstractBatchJobStrategy):
    identifier = batch_type = "lines"

    async def init(self, injector):
        await super().init(injector)
        self.files = injector.get(FileStorage)

    async def validate_context(self, context):
        if context.get("refuse"):
            raise ValueError("not today")

    async def lines(self, run):
        async with self.files.read(run.context["file"]) as blocks:
            return b"".join([block async for block in blocks]).decode(errors="replace").splitlines()[1:]

    async def pre_process_batch_job(self, batch_job_id):
        run = self.batch_jobs.run(batch_job_id)
        lines = await self.lines(run)
        bad = sum("bad" in line for line in lines)
        counts = {"created": len(lines) - bad, "failed": bad}
        run.set_total(len(lines))
        found = {"rows": len(lines), "counts": counts, "differences": [], "errors": {}, "first_errors": []}
        run.set_result({"preview": found | {"check_seconds": 0.1}})

    async def process_job(self, batch_job_id):
        run = self.batch_jobs.run(batch_job_id)
        lines = await self.lines(run)
        bad = [RowError(n, "bad", "it is bad", "name", line) for n, line in enumerate(lines, 1) if "bad" in line]
        if run.context.get("waits"):
            Path("started").touch()
            await anyio.sleep_forever()
        if not run.is_dry_run:
            Path("written").write_text("\\n".join(line for line in lines if "bad" not in line))
        counts = {RowOutcome.CREATED: len(lines) - len(bad), RowOutcome.FAILED: len(bad)}
        await run.save(cursor=len(lines), done=len(lines), counts=counts, errors=bad)

    async def build_template(self):
        return ""

app = Conveyor("sqlite:///jobs.db", batch_strategies=[Lines])
forgetful = Conveyor("memory://", batch_strategies=[Lines])
busy_elsewhere = Conveyor("sqlite:///jobs.db", batch_strategies=[Lines], active_queues=["mails"])
"""


@pytest.fixture(autouse=True)
def declared(folder: Path) -> None:
    """Let the app process files, and put one there with one bad row."""
    with (folder / "hello.py").open("a") as file:
        file.write(STRATEGY)
    (folder / "names.csv").write_bytes(b"name,price\r\ntea,1\r\nbad milk,2\r\nrice,3\r\n")


def test_a_file_is_processed_and_its_bad_rows_are_ready_to_be_mended(
    conveyor: Callable[..., Ran], folder: Path
) -> None:
    command = ("batch", "run", "lines", "names.csv", "--yes", "--by", "ada", "--errors-file", "bad.csv", *APP)
    ran = conveyor(*command, "-o", "json")
    assert (ran.code, ran.json["status"], ran.json["created_by"]) == (0, "completed_with_errors", "ada")
    assert "3 rows, read and checked in 100ms: 2 created, 1 bad" in ran.err
    assert "this will process 2 rows of names.csv" in ran.err
    assert (folder / "written").read_text() == "tea,1\nrice,3"
    header, row = (folder / "bad.csv").read_text().splitlines()
    assert header == "name,price,error_row,error_code,error_column,error_message"
    assert row == "bad milk,2,2,bad,name,it is bad"
    ran = conveyor(*command)
    assert (ran.code, ran.out) == (5, "")
    assert "there is a file 'bad.csv' already" in ran.err
    ran = conveyor("batch", "run", "lines", "names.csv", "--yes", "--force", *APP, "-o", "json")
    assert (ran.code, ran.json["result"]["preview"]["estimate"]["runs"]) == (0, 1)
    assert " to process them, as in 1 earlier run\n" in ran.err


def test_an_error_file_is_written_as_the_file_was(conveyor: Callable[..., Ran], folder: Path) -> None:
    (folder / "namen.csv").write_bytes("näme|price\r\nbad|2\r\n".encode("latin-1"))
    how = ("--set", "encoding=latin-1", "--set", "delimiter=|", "--yes", "--errors-file", "bad.csv")
    ran = conveyor("batch", "run", "lines", "namen.csv", *how, *APP)
    assert ran.code == 0, ran.err
    header, row = (folder / "bad.csv").read_bytes().decode("latin-1").splitlines()
    assert header == "näme|price|error_row|error_code|error_column|error_message"
    assert row == "bad|2|1|bad|name|it is bad"


def test_standard_input_is_read_and_a_dry_run_asks_nothing(
    conveyor: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((folder / "names.csv").read_bytes())))
    ran = conveyor("batch", "run", "lines", "-", "--dry-run", *APP, "-o", "json")
    assert (ran.code, ran.json["done"], ran.json["dry_run"]) == (0, 3, True), ran.err
    assert not (folder / "written").exists()


@pytest.mark.parametrize(("answer", "status"), [("y\n", "completed_with_errors"), ("n\n", "cancelled")])
def test_somebody_is_asked(
    conveyor: Callable[..., Ran],
    at_terminal: Callable[[str], None],
    folder: Path,
    answer: str,
    status: str,
) -> None:
    at_terminal(answer)
    ran = conveyor("batch", "run", "lines", "names.csv", *APP)
    assert (ran.code, "Go on? [y/N]" in ran.err) == (int(status == "cancelled"), True)
    (batch,) = conveyor("batch", "list", *APP, "-o", "json").json["batches"]
    assert batch["status"] == status
    assert (folder / "written").exists() is (status != "cancelled")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("lines", "no.csv", "--yes"), 2, "there is no file 'no.csv'"),
        (("lines", "names.csv"), 2, "add --yes"),
        (("lnies", "names.csv", "--yes"), 3, "did you mean 'lines'?"),
        (("lnies", "names.csv"), 3, "did you mean 'lines'?"),
        (("lines", "names.csv", "--yes", "--set", "refuse=true"), 5, "not today"),
        (("lines", "names.csv", "--yes", "--app", "hello:forgetful"), 5, "keeps nothing"),
        (("lines", "names.csv", "--yes", "--app", "hello:busy_elsewhere"), 2, "not one of the active queues"),
        (("lines", "names.csv", "--yes", "--set", "file=x"), 2, "the context has a `file` already"),
        (("lines", "names.csv", "--yes", "--errors-file", "there/bad.csv"), 2, "there is no directory 'there'"),
        (("lines", ".", "--yes"), 2, "'.' is a directory"),
    ],
)
def test_what_cannot_be_run_leaves_nothing_behind(
    conveyor: Callable[..., Ran], folder: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = conveyor("batch", "run", *arguments, *(() if "--app" in arguments else APP))
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert list((folder / "conveyor_files").glob("*")) == []
    # Most are refused before even the store is made.
    assert '"id"' not in conveyor("batch", "list", *APP, "-o", "json").out


def test_too_many_bad_rows_are_refused_before_anything_is_written(conveyor: Callable[..., Ran], folder: Path) -> None:
    ran = conveyor("batch", "run", "lines", "names.csv", "--yes", "--max-errors", "0", *APP)
    assert (ran.code, ran.out) == (5, "")
    assert "1 bad row, which is more than 0: nothing was written" in ran.err
    assert not (folder / "written").exists()
    (batch,) = conveyor("batch", "list", *APP, "-o", "json").json["batches"]
    assert (batch["status"], batch["history"][-1]["reason"]) == ("cancelled", "too many bad rows")


def test_an_interrupted_one_is_left_to_the_next_worker(
    conveyor: Callable[..., Ran], start: Callable[..., subprocess.Popen[str]], folder: Path
) -> None:
    process = start("batch", "run", "lines", "names.csv", "--yes", "--set", "waits=true", *APP)
    await_file(folder / "started")
    process.send_signal(signal.SIGINT)
    hint = await_line(process, "to give it up: conveyor batch cancel")
    assert process.wait(20) == 130
    batch_id = hint.split()[-1]
    assert conveyor("batch", "show", batch_id, *APP, "-o", "json").json["status"] == "interrupted"
    assert conveyor("batch", "cancel", batch_id, *APP).code == 0


def test_a_preview_is_told_in_a_few_lines() -> None:
    found = {
        "rows": 1234,
        "counts": {"updated": 1233, "failed": 1},
        "check_seconds": 2.5,
        "differences": [{"row": n, "outcome": "updated", "changes": {"price": ["1", "2"]}} for n in range(9)],
        "errors": {"price": {"invalid_value": 1}, "": {"ragged": 2}},
        "first_errors": [{"row": 7, "code": "invalid_value", "column": "price", "message": "no\x1bnumber"}],
    }
    said, *lines = preview_lines(find_preview({"preview": found}), 1234)
    assert said == "1 234 rows, read and checked in 2s: 1233 updated, 1 bad"
    assert [line.split() for line in lines] == [
        [],
        ["row", "column", "now", "then"],
        *([str(n), "price", "1", "2"] for n in range(5)),
        [],
        ["column", "code", "bad", "rows"],
        ["price", "invalid_value", "1"],
        ["(none)", "ragged", "2"],
        [],
        ["bad", "row", "column", "message"],
        ["7", "price", "no\\x1bnumber"],
    ]
    assert list(preview_lines(None, 3)) == ["3 rows"]
    assert list(preview_lines(None, None)) == []


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (None, []),
        ({"preview": {}}, []),
        ({"dry_run": "yes"}, []),
        ({"dry_run": {"rows_were": ["burnt"]}}, []),
        (
            {"dry_run": {"rows_were": "rolled_back", "estimate_seconds": 2.5}},
            [
                "nothing is kept: all rows were written, and rolled back",
                "to process them all would take about 2s",
            ],
        ),
    ],
)
def test_a_dry_run_says_what_it_did(result: dict[str, Any] | None, told: list[str]) -> None:
    assert list(dry_run_lines(result)) == told
