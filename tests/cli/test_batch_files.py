"""``conveyor batch run`` with rows: spreadsheets, lines of JSON, one file twice, and where bad rows are written."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import openpyxl
import pytest

from conveyor.__main__ import main
from conveyor._cli.failures import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.cli.conftest import Ran

APP = ("--app", "hello:app")

STRATEGY = """
from attrs import frozen
from conveyor import ErrorPolicy, FileParams, RowBatchStrategy

@frozen
class Price:
    name: str
    price: int

class Prices(RowBatchStrategy[Price, FileParams]):
    identifier = batch_type = "prices"
    row = Price
    params = FileParams
    identifying = ("file",)
    errors = ErrorPolicy.skip()
    async def process_one(self, row, context):
        with open("written", "a") as file:
            file.write(f"{row.name}={row.price},")

class Strict(Prices):
    identifier = batch_type = "strict"
    errors = ErrorPolicy.stop()

class Closed(Strict):
    identifier = batch_type = "closed"
    async def process_one(self, row, context):
        if row.name == "milk":
            raise ValueError("no milk today")

app = Conveyor("sqlite:///jobs.db", batch_strategies=[Prices, Strict, Closed])
"""
OWN_TEMPLATE = """
class Own(Prices):
    identifier = batch_type = "own"
    async def build_template(self):
        return "price|name\\n"

app = Conveyor("sqlite:///jobs.db", batch_strategies=[Own])
"""
ERROR_COLUMNS = "error_row,error_code,error_column,error_message"
GOOD, BAD = b"name,price\ntea,1\n", b"name,price\ntea,1\nmilk,two\n"


@pytest.fixture(autouse=True)
def declared(folder: Path) -> None:
    """Let the app process rows."""
    with (folder / "hello.py").open("a") as file:
        file.write(STRATEGY)


@pytest.fixture
def run(conveyor: Callable[..., Ran]) -> Callable[..., Ran]:
    """Run a file of prices."""
    return lambda file, *arguments: conveyor("batch", "run", "prices", str(file), "--yes", *arguments, *APP)


def workbook(*rows: Sequence[object], sheet: str | None = None) -> bytes:
    """Return a spreadsheet with these rows in its only sheet, or in one of this name behind an empty one."""
    book = openpyxl.Workbook()
    filled = book.active if sheet is None else book.create_sheet(sheet)
    for row in rows:
        filled.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_a_spreadsheet_is_read_and_its_bad_rows_come_as_one(run: Callable[..., Ran], folder: Path) -> None:
    rows = (("name", "price"), ("tea", 1), ("=milk()", "two"), ("007", "x"), ("rice", 3.0), (-8, "y"))
    (folder / "prices.xlsx").write_bytes(workbook(*rows))
    ran = run("prices.xlsx", "-o", "json")
    assert (ran.code, ran.json["counts"]) == (0, {"done": 2, "failed": 3}), ran.err
    assert "3 bad rows in prices.errors.xlsx; mend them, and run that file" in ran.err
    book = openpyxl.load_workbook(folder / "prices.errors.xlsx")
    header, *bad = book.active.iter_rows(values_only=True)
    assert ",".join(header) == f"name,price,{ERROR_COLUMNS}"
    assert [row[:5] for row in bad] == [
        # What a formula came to is in no file that openpyxl writes.
        (None, "two", 2, "missing_value; invalid_value", "name; price"),
        ("007", "x", 3, "invalid_value", "price"),
        (-8, "y", 5, "invalid_value", "price"),
    ]
    # Mended, it is run as it is.
    for number, row in enumerate(bad, 2):
        book.active.cell(number, 1, row[0] or "'=milk()")
        book.active.cell(number, 2, number)
    book.save(folder / "prices.errors.xlsx")
    ran = run("prices.errors.xlsx", "-o", "json")
    assert (ran.code, ran.json["status"]) == (0, "completed"), ran.err
    assert (folder / "written").read_text() == "tea=1,rice=3,=milk()=2,007=3,-8=4,"


def test_the_name_of_an_error_file_says_in_what_form_it_is(conveyor: Callable[..., Ran], folder: Path) -> None:
    (folder / "prices.csv").write_bytes(b"name,price\n@milk,two\n")
    (folder / "lines.jsonl").write_bytes(b'{"name": "milk", "price": "two"}\n')
    command = ("batch", "run", "prices", "prices.csv", "--yes", *APP, "-o", "json")
    ran = conveyor(*command, "--errors-file", "bad.xlsx")
    assert ran.code == 0, ran.err
    row = list(openpyxl.load_workbook(folder / "bad.xlsx").active.iter_rows(values_only=True))[1]
    assert row[:4] == ("'@milk", "two", 1, "invalid_value")
    ran = conveyor("batch", "run", "prices", "lines.jsonl", "--yes", *APP, "-o", "json", "--errors-file", "x.xlsx")
    assert "its file is of JSON lines, whose rows fit in no sheet" in ran.err
    assert not (folder / "x.xlsx").exists()


def test_the_bad_rows_of_a_spreadsheet_come_as_csv_where_that_is_named(run: Callable[..., Ran], folder: Path) -> None:
    (folder / "prices.xlsx").write_bytes(workbook(("name", "price"), ("tea", 1), ("milk", "two"), ("rice", 3.0)))
    ran = run("prices.xlsx", "--errors-file", "prices.errors.csv", "-o", "json")
    assert (ran.code, ran.json["status"]) == (0, "completed_with_errors"), ran.err
    assert (folder / "written").read_text() == "tea=1,rice=3,"
    assert "1 bad row in prices.errors.csv; mend them, and run that file" in ran.err
    header, row = (folder / "prices.errors.csv").read_text().splitlines()
    assert header == f"name,price,{ERROR_COLUMNS}"
    assert row.startswith("milk,two,2,invalid_value,price,")


def test_another_sheet_is_named_and_one_of_no_spreadsheet_is_refused(run: Callable[..., Ran], folder: Path) -> None:
    (folder / "prices.xlsx").write_bytes(workbook(("name", "price"), ("tea", 1), sheet="mine"))
    assert run("prices.xlsx", "--sheet", "mine").code == 0
    ran = run("prices.xlsx", "--sheet", "yours")
    assert (ran.code, "there is no sheet 'yours'; there is: Sheet, mine" in ran.err) == (5, True)
    (folder / "prices.csv").write_bytes(GOOD)
    ran = run("prices.csv", "--sheet", "mine")
    assert (ran.code, "'prices.csv' is no spreadsheet of rows" in ran.err) == (2, True)


def test_what_only_calls_itself_a_spreadsheet_leaves_nothing_behind(run: Callable[..., Ran], folder: Path) -> None:
    (folder / "prices.xlsx").write_bytes(b"name,price\ntea,1\n")
    ran = run("prices.xlsx")
    assert (ran.code, "not_a_workbook" in ran.err) == (5, True)
    assert list((folder / "conveyor_files").glob("*")) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.xlsx", workbook(("name", "price"), ("tea", 1))), ("a.jsonl", b'{"name": "tea", "price": 1}\n')],
)
def test_standard_input_is_what_its_name_says(
    run: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    ran = run("-", "--name", name)
    assert (ran.code, (folder / "written").read_text()) == (0, "tea=1,"), ran.err


def test_the_row_that_ended_it_is_in_the_error_file(conveyor: Callable[..., Ran], folder: Path) -> None:
    (folder / "prices.csv").write_bytes(b"name,price\ntea,1\nmilk,2\nrice,3\n")
    ran = conveyor("batch", "run", "closed", "prices.csv", "--yes", *APP, "-o", "json")
    assert (ran.code, ran.json["status"], ran.json["done"]) == (1, "failed", 1), ran.err
    assert "1 bad row in prices.errors.csv" in ran.err
    assert (folder / "prices.errors.csv").read_text().splitlines()[1:] == ["milk,2,2,invalid_value,,no milk today"]
    (bad,) = conveyor("batch", "errors", ran.json["id"], *APP, "-o", "json").json
    assert (bad["row_number"], bad["ended_run"]) == (2, True)


def test_bad_lines_of_json_come_as_lines_of_json(run: Callable[..., Ran], folder: Path) -> None:
    (folder / "prices.jsonl").write_bytes(b'{"name": "tea", "price": 1}\n{"name": "milk", "price": "two"}\n')
    assert run("prices.jsonl").code == 0
    (line,) = (folder / "prices.errors.jsonl").read_text().splitlines()
    assert json.loads(line)["error_column"] == "price"


def test_an_error_file_never_takes_the_place_of_another(
    run: Callable[..., Ran], conveyor: Callable[..., Ran], folder: Path
) -> None:
    (folder / "prices.csv").write_bytes(BAD)
    (folder / "prices.errors.csv").write_text("mine")
    ran = run("prices.csv", "-o", "json")
    assert "1 bad row in prices.errors-2.csv" in ran.err
    assert (folder / "prices.errors.csv").read_text() == "mine"
    errors = ("batch", "errors", ran.json["id"], *APP, "--errors-file")
    assert conveyor(*errors, "prices.errors-2.csv").code == 5
    assert conveyor(*errors, "again.csv").code == 0
    assert (folder / "again.csv").read_bytes() == (folder / "prices.errors-2.csv").read_bytes()
    assert not list(folder.glob("*.part"))


def test_where_no_row_is_bad_there_is_no_error_file(
    run: Callable[..., Ran], conveyor: Callable[..., Ran], folder: Path
) -> None:
    (folder / "prices.csv").write_bytes(GOOD)
    batch_id = run("prices.csv", "-o", "json").json["id"]
    assert "no bad rows" in conveyor("batch", "errors", batch_id, "--errors-file", "bad.csv", *APP).err
    assert not [*folder.glob("*.errors*"), *folder.glob("bad.csv")]


def test_a_file_is_not_run_twice_unless_it_is_forced(run: Callable[..., Ran], folder: Path) -> None:
    (folder / "prices.csv").write_bytes(GOOD)
    first = run("prices.csv", "-o", "json")
    stored = sorted((folder / "conveyor_files").iterdir())
    ran = run("prices.csv")
    assert (ran.code, first.json["id"] in ran.err, "--force" in ran.err) == (5, True, True), ran.err
    assert sorted((folder / "conveyor_files").iterdir()) == stored
    assert run("prices.csv", "--dry-run").code == 0
    assert run("prices.csv", "--force").code == 0
    (folder / "prices.csv").write_bytes(GOOD + b"rice,3\n")
    assert run("prices.csv").code == 0
    assert (folder / "written").read_text() == "tea=1,tea=1,tea=1,rice=3,"


@pytest.mark.parametrize(("how", "code"), [(("strict",), 1), (("prices", "--max-errors", "0"), 5)])
def test_a_file_that_is_refused_gives_all_its_bad_rows(
    conveyor: Callable[..., Ran], folder: Path, how: Sequence[str], code: int
) -> None:
    batch_type, *options = how
    (folder / "prices.csv").write_bytes(BAD + b"rice,three\n")
    ran = conveyor("batch", "run", batch_type, "prices.csv", "--yes", *options, *APP)
    assert (ran.code, "nothing was written" in ran.err) == (code, True), ran.err
    assert "2 bad rows in prices.errors.csv; nothing was written, so mend them in the file itself" in ran.err
    header, milk, rice = (folder / "prices.errors.csv").read_text().splitlines()
    assert header == f"name,price,{ERROR_COLUMNS}"
    assert (milk.startswith("milk,two,2,"), rice.startswith("rice,three,3,")) == (True, True)
    (batch,) = conveyor("batch", "list", *APP, "-o", "json").json["batches"]
    rows = conveyor("batch", "errors", batch["id"], "-o", "json", *APP).json
    assert [(row["row_number"], row["column"]) for row in rows] == [(2, "price"), (3, "price")]
    assert conveyor("batch", "errors", batch["id"], "--errors-file", "later.csv", *APP).code == 0
    assert (folder / "later.csv").read_bytes() == (folder / "prices.errors.csv").read_bytes()
    assert not (folder / "written").exists()


def test_whoever_says_no_has_the_bad_rows(
    conveyor: Callable[..., Ran], at_terminal: Callable[[str], None], folder: Path
) -> None:
    (folder / "prices.csv").write_bytes(BAD)
    at_terminal("n\n")
    ran = conveyor("batch", "run", "prices", "prices.csv", *APP)
    assert (ran.code != 0, "1 bad row in prices.errors.csv" in ran.err) == (True, True), ran.err
    assert not (folder / "written").exists()


def test_a_dry_run_gives_all_bad_rows_of_a_file(conveyor: Callable[..., Ran], folder: Path) -> None:
    (folder / "prices.csv").write_bytes(BAD)
    ran = conveyor("batch", "run", "strict", "prices.csv", "--dry-run", "--max-errors", "0", *APP, "-o", "json")
    assert (ran.code, ran.json["status"]) == (5, "completed_with_errors"), ran.err
    assert "1 bad row, which is more than 0" in ran.err
    assert "nothing is kept: rows were only checked, since what writing them does cannot be undone" in ran.err
    assert (folder / "prices.errors.csv").exists()
    assert not (folder / "written").exists()


def test_a_file_is_left_to_a_worker(conveyor: Callable[..., Ran], folder: Path) -> None:
    (folder / "prices.csv").write_bytes(GOOD)
    assert conveyor("store", "migrate", *APP).code == 0
    create = ("batch", "create", "prices", *APP, "--file")
    ran = conveyor(*create, "prices.csv", "-o", "json")
    assert ran.code == 0, ran.err
    shown = conveyor("batch", "show", ran.json["id"], *APP, "-o", "json").json
    assert shown["status"] == "created"
    kept = sorted((folder / "conveyor_files").iterdir())
    assert shown["context"]["file"] in {path.stem for path in kept}
    for arguments, code, said in [
        (("no.csv",), 2, "there is no file 'no.csv'"),
        (("prices.csv",), 5, ran.json["id"]),
        (("prices.csv", "--set", "colour=red"), 5, "colour: there is no such field"),
    ]:
        again = conveyor(*create, *arguments)
        assert (again.code, said in again.err) == (code, True), again.err
    assert sorted((folder / "conveyor_files").iterdir()) == kept


def test_a_template_is_written_as_a_spreadsheet_and_taken_back(
    conveyor: Callable[..., Ran], run: Callable[..., Ran], folder: Path
) -> None:
    file = folder / "new.xlsx"
    assert conveyor("batch", "template", "prices", "--file", str(file), *APP).code == 0
    workbook = openpyxl.load_workbook(file)
    assert workbook.active is not None
    assert [cell.value for cell in workbook.active[1]] == ["name *", "price *", "template_note"]
    workbook.active.append(["tea", 3])
    workbook.save(file)
    # A command of its own: the one that prints templates lets the app have no store.
    del sys.modules["hello"]
    assert run(file).code == 0
    assert (folder / "written").read_text() == "tea=3,"


def test_a_template_is_no_file_that_was_there(conveyor: Callable[..., Ran], folder: Path) -> None:
    file = folder / "new.csv"
    assert conveyor("batch", "template", "prices", "--file", str(file), *APP).code == 0
    before = file.read_bytes()
    assert before.decode() == conveyor("batch", "template", "prices", *APP).out
    ran = conveyor("batch", "template", "prices", "--file", str(file), "--format", "xlsx", *APP)
    assert (ran.code, file.read_bytes()) == (ExitCode.REFUSED, before)
    assert "there is a file" in ran.err


def test_a_template_goes_nowhere_where_there_is_no_such_folder(conveyor: Callable[..., Ran], folder: Path) -> None:
    ran = conveyor("batch", "template", "prices", "--file", str(folder / "nowhere" / "new.csv"), *APP)
    assert (ran.code, "cannot be written" in ran.err) == (ExitCode.FAILED, True)


def test_a_template_of_a_strategys_own_is_no_spreadsheet(conveyor: Callable[..., Ran], folder: Path) -> None:
    with (folder / "hello.py").open("a") as file:
        file.write(OWN_TEMPLATE)
    file_of_its_own = folder / "new.xlsx"
    ran = conveyor("batch", "template", "own", "--file", str(file_of_its_own), *APP)
    assert (ran.code, file_of_its_own.exists()) == (2, False)
    assert "leave --format out" in ran.err
    assert conveyor("batch", "template", "own", *APP).out == "price|name\n"


def test_without_openpyxl_a_spreadsheet_is_refused_by_how_to_get_it(
    conveyor: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    file = folder / "new.xlsx"
    ran = conveyor("batch", "template", "prices", "--file", str(file), *APP)
    assert (ran.code, file.exists()) == (2, False)
    assert "pip install 'conveyor[xlsx]'" in ran.err


def test_a_spreadsheet_is_printed_but_not_at_a_terminal(
    folder: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("batch", "template", "prices", "--format", "xlsx", *APP)
    assert main(command) == 0
    assert capsysbinary.readouterr().out.startswith(b"PK")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(command) == ExitCode.USAGE
    printed = capsysbinary.readouterr()
    assert (printed.out, b"--file rows.xlsx" in printed.err) == (b"", True)
