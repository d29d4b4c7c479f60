"""``conveyor batch``: what somebody creates, looks at, stops and lets go on; what is refused, and what is not shown."""

from __future__ import annotations

import io
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from attrs import evolve
from rich.console import Console

from conveyor import Conveyor
from conveyor._cli.batches.creating import parse_context
from conveyor._cli.batches.records import batch_record
from conveyor._cli.batches.tellers import Lines, bar_on
from conveyor._cli.batches.watching import follow
from conveyor._cli.discovery import load_app
from conveyor._handles.batch_job import BatchEvent, BatchEventKind, BatchJob
from conveyor.errors import ConfigurationError
from conveyor.model.batches.status import BatchStatus
from tests.app.batches.strategies import Counting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

APP = ("--app", "hello:app")
STORE = ("--store", "sqlite:///jobs.db")
SECRET = "hunter2-and-more"
PROGRESS = {"total": 9, "per_second": None, "seconds_left": None, "message": None}

STRATEGIES = """
from conveyor import AbstractBatchJobStrategy
from tests.app.batches.strategies import Counting

class Count(Counting):
    identifying = ("file",)

    async def prepare_batch_job_for_processing(self, context, request, /):
        return {"file": "a", **context}

    async def post_process(self, batch_job_id, /):
        if self.batch_jobs.run(batch_job_id).context.get("breaks"):
            raise RuntimeError(f"it broke, with {self.batch_jobs.run(batch_job_id).context.get('password')}")

class NoTemplate(Counting):
    identifier = batch_type = "nothing"

    async def build_template(self):
        return ""

app = Conveyor("sqlite:///jobs.db", prefix="shop-", batch_strategies=[Count, NoTemplate])
"""


@pytest.fixture(autouse=True)
def declared(folder: Path) -> None:
    """Let the app process batch jobs, and make its store."""
    with (folder / "hello.py").open("a") as file:
        file.write(STRATEGIES)

    async def open_app() -> None:
        async with load_app("hello:app"):
            pass

    anyio.run(open_app)


@pytest.fixture
def create(conveyor: Callable[..., Ran]) -> Callable[..., str]:
    """Create a batch job; return its id."""

    def run(*arguments: str) -> str:
        ran = conveyor("batch", "create", "count", "--force", *arguments, *APP, "-o", "json")
        assert ran.code == 0, ran.err
        return str(ran.json["id"])

    return run


@pytest.fixture
def work(folder: Path) -> Callable[[str], None]:
    """Run a worker of the app until a batch job waits for somebody, or has ended."""

    def run(batch_id: str) -> None:
        async def work_on() -> None:
            async with load_app("hello:app") as app, app.worker(), app.batches.events(batch_id) as events:
                async for event in events:
                    if event.batch.status == "pre_processed" and event.batch.data.confirmation == "manual":
                        return

        anyio.run(work_on)

    return run


def test_what_is_typed_becomes_a_context() -> None:
    assert parse_context("{}", []) == {}
    assert parse_context('{"a": 1, "b": 2}', ["b=3", "c=x=y", 'd="4"', "e=", "f=[1]", "g=null", "h=NaN"]) == {
        "a": 1,
        "b": 3,
        "c": "x=y",
        "d": "4",
        "e": "",
        "f": [1],
        "g": None,
        "h": "NaN",
    }
    for text, settings, said in [
        ("{", [], "--context must be JSON"),
        ("[1]", [], "must map names to values"),
        ("{}", ["a"], "takes name=value, got 'a'"),
        ("{}", ["=1"], "takes name=value"),
        ("{}", ["a=1", "a=2"], "stands there twice"),
    ]:
        with pytest.raises(ConfigurationError, match=said):
            parse_context(text, settings)


def test_the_beginning_of_an_id_is_enough_where_it_is_clear(
    conveyor: Callable[..., Ran], create: Callable[..., str]
) -> None:
    names = ["monday-morning", "monday-evening"]

    async def make() -> None:
        async with load_app("hello:app") as app:
            for name in names:
                await app.batches.create("count", {}, id=name, force=True)

    anyio.run(make)
    for command in ("show", "errors"):
        assert conveyor("batch", command, "monday-m", *APP, "-o", "json").code == 0
        # The first is too short to be looked for.
        for wrong in ("monday-", "friday-morning"):
            ran = conveyor("batch", command, wrong, *APP)
            assert (ran.code, f"no batch job {wrong!r}" in ran.err) == (3, True)
    assert conveyor("batch", "cancel", "monday-mor", *APP, "-o", "json").json["id"] == names[0]
    assert conveyor("batch", "watch", "monday-mor", *APP).code == 1
    assert conveyor("batch", "list", "--parent", "monday-mor", *APP, "-o", "json").json["batches"] == []
    first, second = create("--set", "file=b"), create("--set", "file=c")
    beginning = first[:8]
    ran = conveyor("batch", "show", beginning, *APP)
    assert (ran.code, f"{beginning!r} is the beginning of several ids: {first}, {second}" in ran.err) == (2, True)


def test_types_and_their_templates_are_printed(conveyor: Callable[..., Ran]) -> None:
    count, nothing = conveyor("batch", "types", *APP, "-o", "json").json
    assert (count["batch_type"], count["identifier"], count["identifying"]) == ("count", "counting", ["file"])
    assert nothing["confirmation"] == "automatic"
    assert "count" in conveyor("batch", "types", *APP).out
    assert conveyor("batch", "template", "count", *APP).out == "name\n"
    ran = conveyor("batch", "template", "nothing", *APP)
    assert (ran.code, ran.out) == (3, "")
    assert "--app MODULE:ATTR" in conveyor("batch", "types", *STORE).err


def test_types_and_templates_need_no_store(conveyor: Callable[..., Ran], folder: Path) -> None:
    store = folder / "jobs.db"
    store.unlink()
    assert conveyor("batch", "types", *APP).code == 0
    assert conveyor("batch", "template", "count", *APP).out == "name\n"
    assert not store.exists()


def test_one_is_created_looked_at_and_confirmed(
    conveyor: Callable[..., Ran], create: Callable[..., str], work: Callable[[str], None]
) -> None:
    batch = create("--set", "rows=3", "--set", "bad=[2]", "--confirm", "manual", "--by", "ada")
    work(batch)
    shown = conveyor("batch", "show", batch, *APP, "-o", "json").json
    assert (shown["status"], shown["total"], shown["created_by"]) == ("pre_processed", 3, "ada")
    assert shown["context"] == {"rows": 3, "bad": [2], "file": "a"}
    ran = conveyor("batch", "confirm", batch, "--by", "bob", "--reason", "looks good", *APP, "-o", "json")
    assert ran.json == {"id": batch, "status": "confirmed"}
    work(batch)
    text = conveyor("batch", "show", batch, *APP).out
    for word in ("completed_with_errors", "by bob", "looks good", "failed", '"bad": ['):
        assert word in text
    (error,) = conveyor("batch", "errors", batch, *APP, "-o", "json", "--unmasked").json
    assert error == {
        "row_number": 2,
        "code": "bad",
        "message": "it is bad",
        "column": "name",
        "raw": "row 2",
        "also": [],
        "ended_run": False,
    }


def test_the_person_is_the_user_of_this_machine_unless_another_is_named(
    conveyor: Callable[..., Ran], create: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    batch = create()
    assert conveyor("batch", "cancel", batch, *APP).code == 0
    history = conveyor("batch", "show", batch, *APP, "-o", "json").json["history"]
    assert [change["by"] for change in history] == ["grace", "grace"]


def test_they_are_listed_by_what_they_are(conveyor: Callable[..., Ran], create: Callable[..., str]) -> None:
    first, second, third = create("--by", "ada"), create("--by", "bob"), create("--by", "ada", "--dry-run")
    conveyor("batch", "cancel", first, *APP)

    def listed(*wanted: str) -> list[str]:
        return [one["id"] for one in conveyor("batch", "list", *wanted, *APP, "-o", "json").json["batches"]]

    assert listed() == [third, second, first]
    assert listed("--by", "ada") == [third, first]
    assert listed("--status", "created", "paused") == [third, second]
    assert listed("--type", "nothing") == []
    assert listed("--created-before", "1h") == []
    assert len(listed("--created-after", "1h")) == 3
    page = conveyor("batch", "list", "--limit", "2", *APP)
    assert "created (dry run)" in page.out
    cursor = page.err.split("--cursor ")[1].strip()
    assert listed("--cursor", cursor) == [first]
    assert conveyor("batch", "list", "-o", "csv", *APP).out.startswith("id,batch_type,status,")
    assert conveyor("batch", "list", "--type", "nothing", *APP).err == "no batch job matches\n"
    for wrong in (("--status", "paussed"), ("--created-after", "soon"), ("--cursor", "nowhere")):
        ran = conveyor("batch", "list", *wrong, *APP)
        assert (ran.code, ran.out) == (2, ""), wrong


def test_the_same_is_refused_unless_it_is_forced(conveyor: Callable[..., Ran]) -> None:
    command = ("batch", "create", "count", *APP)
    assert conveyor(*command).code == 0
    ran = conveyor(*command)
    assert (ran.code, ran.out) == (5, "")
    assert "--force" in ran.err
    assert conveyor(*command, "--force").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("create", "coutn"), 3, "did you mean 'count'?"),
        (("template", "coutn"), 3, "did you mean 'count'?"),
        (("create", "count", "--set", "rows=-1"), 5, "refuses this context: ValueError: there are no such rows"),
        (("create", "count", "--context", "{"), 2, "--context must be JSON"),
        (("show", "nope"), 3, "conveyor batch list"),
        (("confirm", "nope"), 3, "conveyor batch list"),
        (("retry", "nope"), 3, "conveyor batch list"),
        (("watch", "nope"), 3, "conveyor batch list"),
        (("errors", "nope"), 3, "conveyor batch list"),
        (("errors", "nope", "-o", "csv"), 3, "conveyor batch list"),
    ],
)
def test_what_cannot_be_done_says_so_and_prints_nothing(
    conveyor: Callable[..., Ran], arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = conveyor("batch", *arguments, *APP)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_a_command_out_of_time_is_refused(conveyor: Callable[..., Ran], create: Callable[..., str]) -> None:
    batch = create()
    ran = conveyor("batch", "confirm", batch, *APP)
    assert (ran.code, ran.out) == (5, "")
    assert "is created, so 'confirm' is not allowed; allowed now: cancel" in ran.err
    ran = conveyor("batch", "retry", batch, "--failed-rows", *APP)
    assert (ran.code, ran.out) == (5, "")
    assert "it is created" in ran.err


def test_without_its_app_one_may_be_stopped_but_goes_nowhere(
    conveyor: Callable[..., Ran], create: Callable[..., str], work: Callable[[str], None]
) -> None:
    batch = create("--confirm", "manual")
    work(batch)
    for verb in ("confirm", "resume", "retry"):
        ran = conveyor("batch", verb, batch, *STORE)
        assert (ran.code, ran.out) == (5, "")
        assert "--app MODULE:ATTR" in ran.err
    assert conveyor("batch", "list", *STORE, "-o", "json").json["batches"][0]["id"] == batch
    ran = conveyor("batch", "cancel", batch, *STORE, "-o", "json")
    assert ran.json["status"] == "cancelled"
    assert "none was told" in ran.err
    # What goes on is added where workers of the app look.
    assert [queue["name"] for queue in conveyor("queues", "list", *STORE, "-o", "json").json] == ["shop-batches"]


def test_one_is_paused_and_resumed(
    conveyor: Callable[..., Ran], create: Callable[..., str], work: Callable[[str], None]
) -> None:
    batch = create("--confirm", "manual")
    work(batch)
    conveyor("batch", "confirm", batch, *APP)
    assert conveyor("batch", "pause", batch, *APP, "-o", "json").json["status"] == "paused"
    assert conveyor("batch", "resume", batch, *APP, "-o", "json").json["status"] == "confirmed"
    work(batch)
    assert conveyor("batch", "watch", batch, *APP).code == 0


def test_one_that_failed_is_tried_again_and_so_are_its_failed_rows(
    conveyor: Callable[..., Ran], create: Callable[..., str], work: Callable[[str], None]
) -> None:
    batch = create("--set", "rows=2", "--set", "bad=[1]", "--set", "breaks=true")
    work(batch)
    assert conveyor("batch", "list", "--status", "failed", *APP).out.count("it broke") == 1
    ran = conveyor("batch", "retry", batch, "--failed-rows", "--by", "ada", *APP, "-o", "json")
    assert (ran.json["parent_id"], ran.json["status"]) == (batch, "created")
    assert ran.json["id"] != batch
    listed = conveyor("batch", "list", "--parent", batch, *APP, "-o", "json").json["batches"]
    assert [one["id"] for one in listed] == [ran.json["id"]]
    again = conveyor("batch", "retry", batch, "--failed-rows", *APP)
    assert (again.code, f"batch job {ran.json['id']!r} took up these rows already" in again.err) == (5, True)
    assert (
        conveyor("batch", "retry", batch, "--failed-rows", "--force", *APP, "-o", "json").json["id"] != ran.json["id"]
    )
    assert conveyor("batch", "retry", batch, *APP, "-o", "json").json == {"id": batch, "status": "confirmed"}


def test_one_that_failed_is_not_tried_again_once_another_did_the_same(
    conveyor: Callable[..., Ran], work: Callable[[str], None]
) -> None:
    command = ("batch", "create", "count", *APP, "-o", "json")
    failed = conveyor(*command, "--set", "breaks=true").json["id"]
    work(failed)
    same = conveyor(*command).json["id"]
    ran = conveyor("batch", "retry", failed, *APP)
    assert ran.code == 5
    assert f"batch job {same!r} is the same, and was created since this one failed" in ran.err
    assert "hint: if it is to be done again, create it anew, with --force" in ran.err


def test_watching_tells_how_it_went_and_how_it_ended(
    conveyor: Callable[..., Ran], create: Callable[..., str], work: Callable[[str], None]
) -> None:
    good, broken, unwanted = create("--set", "rows=2"), create("--set", "breaks=true"), create()
    conveyor("batch", "cancel", unwanted, *APP)
    work(good)
    work(broken)
    ran = conveyor("batch", "watch", good, *APP)
    assert (ran.code, ran.err) == (0, "completed\n")
    assert "2" in ran.out
    ran = conveyor("batch", "watch", broken, *APP, "-o", "json")
    assert (ran.code, ran.json["status"]) == (1, "failed")
    assert "it broke" in ran.json["error"]
    ran = conveyor("batch", "watch", unwanted, *APP, "-o", "jsonl")
    assert (ran.code, ran.json["kind"], ran.json["status"]) == (1, "status", "cancelled")
    assert ran.json["change"]["after"] == "cancelled"


def test_bad_rows_are_listed_as_far_as_one_wants(
    conveyor: Callable[..., Ran], create: Callable[..., str], work: Callable[[str], None]
) -> None:
    batch = create("--set", "rows=120", "--context", f'{{"bad": {list(range(1, 121))}}}')
    work(batch)
    ran = conveyor("batch", "errors", batch, *APP)
    assert len(ran.out.splitlines()) == 101
    assert "there are more than 100" in ran.err
    assert len(conveyor("batch", "errors", batch, "--limit", "120", *APP).out.splitlines()) == 121
    assert len(conveyor("batch", "errors", batch, *APP, "-o", "json").json) == 120
    assert len(conveyor("batch", "errors", batch, *APP, "-o", "jsonl").out.splitlines()) == 120
    lines = conveyor("batch", "errors", batch, *APP, "-o", "csv", "--limit", "1").out.splitlines()
    assert lines == ["row_number,code,message,column,raw,ended_run", "1,bad,it is bad,name,,false"]
    none = create()
    assert conveyor("batch", "errors", none, *APP).err == "no bad rows\n"
    assert conveyor("batch", "errors", none, *APP, "-o", "json").json == []


def test_no_command_shows_a_secret_unless_it_is_asked_to(
    conveyor: Callable[..., Ran], create: Callable[..., str], work: Callable[[str], None]
) -> None:
    batch = create("--set", f"password={SECRET}", "--set", "breaks=true", "--set", "rows=1")
    work(batch)
    for command in (
        ("list",),
        ("list", "-o", "json"),
        ("list", "-o", "csv"),
        ("show", batch),
        ("show", batch, "-o", "json"),
        ("watch", batch),
        ("watch", batch, "-o", "json"),
        ("watch", batch, "-o", "jsonl"),
    ):
        ran = conveyor("batch", *command, *APP)
        assert SECRET not in ran.out + ran.err, command
        ran = conveyor("batch", *command, *APP, "--unmasked")
        assert (SECRET in ran.out + ran.err) or command[0] == "list" or "jsonl" in command, command
    assert SECRET in conveyor("batch", "list", *APP, "-o", "json", "--unmasked").out


def test_a_bad_row_shows_nothing_of_a_masked_column_and_nothing_of_itself() -> None:
    from conveyor._cli.batches.records import row_record
    from conveyor.model.batches.values import RowError
    from conveyor.model.masking import Masking

    shown = row_record(RowError(1, "bad", f"{SECRET!r} is too long", "password", f"ada,{SECRET}"), Masking())
    assert (shown["message"], shown["raw"], shown["code"]) == ("***", None, "bad")
    shown = row_record(RowError(1, "bad", f"password={SECRET} is too long", None, SECRET), Masking())
    assert shown["message"] == "password=*** is too long"


class Meanwhile:
    """A teller that acts on what it is told, as another person would."""

    def __init__(self) -> None:
        self.silent_in: list[str] = []
        self.confirmed = anyio.Event()

    def happened(self, event: Any, record: Any) -> None:
        pass

    def silent(self, batch: Any) -> None:
        self.silent_in.append(str(batch.status))
        if batch.status == "pre_processed":
            self.confirmed.set()


@pytest.mark.anyio
@pytest.mark.parametrize("is_terminal", [False, True])
async def test_a_watcher_is_told_what_it_waits_for(is_terminal: bool, capsys: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    app = Conveyor("memory://", batch_strategies=[Counting])
    other = Meanwhile()
    async with app, app.worker():
        batch = await app.batches.create("count", {"rows": 3}, confirmation="manual")

        async def confirm() -> None:
            await other.confirmed.wait()
            await app.batches.confirm(batch.id, by="ada", reason="fine [red]")

        with bar_on(console) if is_terminal else nullcontext(Lines()) as teller:
            async with anyio.create_task_group() as group, app.batches.events(batch.id) as events:
                group.start_soon(confirm)
                batch = await follow(batch, events, [teller, other], None, patience=0.01)
    assert batch.status == "completed"
    told = screen.getvalue() if is_terminal else capsys.readouterr().err
    hint = f"it waits for somebody to confirm it: conveyor batch confirm {batch.id}"
    # A narrow terminal breaks lines.
    assert "".join(told.split()).count("".join(hint.split())) == 1
    assert "confirmed by ada: fine [red]" in told
    assert "3 of 3 rows" in told


@pytest.mark.anyio
async def test_a_long_silence_is_told_once_also_where_a_worker_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    async with Conveyor("memory://", batch_strategies=[Counting]) as app:
        batch = await app.batches.create("count", {"rows": 3})
        pausing = BatchJob(app._services, evolve(batch.data, status=BatchStatus.PAUSING))
        lines = Lines()
        said = []
        for _ in range(9):
            lines.silent(pausing)
            said.append(capsys.readouterr().err)
        assert [bool(text) for text in said] == [False] * 3 + [True] + [False] * 5
        assert "nothing is heard of it" in said[3]
        lines.happened(BatchEvent(BatchEventKind.PROGRESS, batch), batch_record(batch, None))
        for _ in range(4):
            lines.silent(pausing)
        assert "nothing is heard of it" in capsys.readouterr().err


@pytest.mark.anyio
async def test_progress_is_no_line_for_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    moments = iter(range(100))
    lines = Lines(lambda: float(next(moments)))
    async with Conveyor("memory://", batch_strategies=[Counting]) as app:
        batch = await app.batches.create("count", {"rows": 3})
        for done in range(1, 9):
            event = BatchEvent(BatchEventKind.PROGRESS, batch)
            lines.happened(event, batch_record(batch, None) | {"progress": {**PROGRESS, "done": done}})
        await batch.cancel()
        lines.happened(event, batch_record(batch, None) | {"progress": {**PROGRESS, "done": 9}})
    told = [int(line.split()[0]) for line in capsys.readouterr().err.splitlines()]
    # Two are looked at for each line that is printed, and the last one always is.
    assert told == [1, 6, 9]
