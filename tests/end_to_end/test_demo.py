"""The demo, whole: real processes over a real file, one killed; and the accounts that must notice any change."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from conveyor._cli.demo.analysis import AnalysisError, FileCounts, count_source, find_python_files
from conveyor._cli.demo.audit import Audit, Books
from conveyor._cli.demo.ledger import (
    Entry,
    Event,
    Ledger,
    LedgerReader,
    UnreadableLineError,
    format_line,
    parse_line,
)
from conveyor._cli.demo.screen import LiveScreen, PlainScreen, open_screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEMO = (
    "import sys; from cyclopts import App; from conveyor._cli.demo.command import demo; a = App(); a.default(demo); a()"
)
SECONDS = 40


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty files: enough work for a kill halfway, one that cannot be parsed and one that cannot be decoded."""
    folder = tmp_path_factory.mktemp("sources")
    text = "".join(f"def f{number}(x):\n    return [y for y in x if y]\n" for number in range(700))
    for number in range(58):
        (folder / f"module_{number:02}.py").write_text(text, encoding="utf-8")
    (folder / "broken.py").write_text("x = 1\nif x\n    pass\n", encoding="utf-8")
    (folder / "latin.py").write_bytes(b"# caf\xe9\n")
    return folder


class Demo:
    """A demo as a child process, its temporary files below a folder of the test."""

    def __init__(self, temporary: Path, *arguments: str) -> None:
        self.temporary = temporary
        self.process = subprocess.Popen(
            [sys.executable, "-c", DEMO, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | {"TMPDIR": str(temporary), "COLUMNS": "100"},
            start_new_session=True,
        )
        self.talk: list[str] = []

    def wait_for(self, pattern: str) -> None:
        """Read what it says until a line matches."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.talk.append(line)
            if re.search(pattern, line):
                return
        raise AssertionError(f"it ended without saying {pattern!r}: {''.join(self.talk)}")

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return exit code, stdout, stderr."""
        out, err = self.process.communicate(timeout=SECONDS)
        self.talk.append(err)
        return self.process.returncode, out, "".join(self.talk)

    def worker_pids(self) -> list[int]:
        """The processes it said it started."""
        return [int(pid) for pid in re.findall(r"\((?:asyncio|trio), pid (\d+)\)", "".join(self.talk))]

    def folders(self) -> list[Path]:
        """The working folders there are."""
        return list(self.temporary.glob("conveyor-demo-*"))

    def ledger(self) -> Path:
        """The ledger it writes."""
        (folder,) = self.folders()
        return folder / "ledger.txt"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Start demos, and end them whatever happens."""
    demos: list[Demo] = []

    def start_demo(*arguments: str) -> Demo:
        demos.append(Demo(tmp_path, *arguments))
        return demos[-1]

    yield start_demo
    for demo in demos:
        demo.process.kill()
        demo.process.communicate()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return not stat.exists() or stat.read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def prove(folder: Path) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-m", "conveyor._cli.demo.proof", str(folder)]
    counted = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS)
    return counted.returncode, json.loads(counted.stdout)


@pytest.fixture(scope="module")
def kept(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[int, str, str], Path]:
    """One whole demo, with the kill, and the folder it kept."""
    demo = Demo(tmp_path_factory.mktemp("demo"), "--files", str(sources), "--keep")
    ended = demo.end()
    return ended, demo.ledger().parent


def test_the_demo_kills_a_worker_and_loses_nothing(kept: tuple[tuple[int, str, str], Path]) -> None:
    (code, out, talk), folder = kept
    assert code == 0, out + talk
    assert re.search(r"worker 2 \(trio, pid \d+\) killed with SIGKILL while it worked on module_", talk)
    assert re.search(r"jobs? recovered \d\.\d s after the kill", talk)
    assert "worker 3 (trio" in talk
    assert "PROOF: 60 added = 58 completed + 2 failed; lost 0; settled twice 0; " in out
    assert "SyntaxError: expected ':', line 2" in out
    assert "SyntaxError: invalid or missing encoding declaration" in out
    assert f"kept: {folder}" in talk
    assert "\x1b" not in out + talk, "no terminal, no colours"


def test_the_proof_agrees_and_explains_each_repetition(kept: tuple[tuple[int, str, str], Path]) -> None:
    code, proof = prove(kept[1])
    assert (code, proof["agree"], proof["disagreements"]) == (0, True, [])
    assert (proof["added"], proof["settled"], proof["lost"], proof["settled_twice"]) == (60, 60, 0, 0)
    assert proof["repeated_runs"] == proof["repeated_by_kill"]
    assert proof["repeated_runs"] != 0


def change_outcome(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b'"outcome":"failed"', b'"outcome":"complete"') for line in lines]


def flip_one_digit(lines: list[bytes]) -> list[bytes]:
    line = lines[len(lines) // 2]
    return [line[:20] + bytes([line[20] ^ 1]) + line[21:] if other is line else other for other in lines]


def remove_a_finished_line(lines: list[bytes]) -> list[bytes]:
    victim = next(line for line in reversed(lines) if b'"finished"' in line)
    return [line for line in lines if line is not victim]


def remove_the_kill(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if b'"killed"' not in line]


def double_a_line(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[-1]]


def tear_the_last_line(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1][:-5]]


@pytest.mark.parametrize(
    "change",
    [change_outcome, flip_one_digit, remove_a_finished_line, remove_the_kill, double_a_line, tear_the_last_line],
)
def test_a_changed_ledger_is_no_proof(
    change: Callable[[list[bytes]], list[bytes]], kept: tuple[tuple[int, str, str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(kept[1], tmp_path / "copy")
    ledger = folder / "ledger.txt"
    ledger.write_bytes(b"".join(change(ledger.read_bytes().splitlines(keepends=True))))
    code, proof = prove(folder)
    assert (code, proof["agree"]) == (1, False)
    assert proof["disagreements"]


def test_a_ledger_corrupted_while_it_is_written_ends_in_exit_1(start: Callable[..., Demo], sources: Path) -> None:
    demo = start("--files", str(sources), "--limit", "30", "--no-kill")
    demo.wait_for(r"[1-9]\d* of 30 settled")
    with demo.ledger().open("r+b") as file:
        file.seek(20)
        file.write(b"#")
    code, out, talk = demo.end()
    assert code == 1, out + talk
    assert "DISAGREEMENT: ledger: 1 lines cannot be read" in out
    assert "LEDGER AND STORE DISAGREE" in out
    assert demo.folders() == []


def test_ctrl_c_leaves_no_process_and_no_file(start: Callable[..., Demo], sources: Path) -> None:
    demo = start("--files", str(sources))
    demo.wait_for(r"[1-9]\d* of 60 settled")
    os.killpg(demo.process.pid, signal.SIGINT)
    code, out, talk = demo.end()
    assert (code, out) == (130, "")
    assert "Traceback" not in talk
    assert len(demo.worker_pids()) >= 2
    assert not any(is_alive(pid) for pid in demo.worker_pids())
    assert demo.folders() == []


def test_workers_end_when_their_parent_is_killed(start: Callable[..., Demo], sources: Path) -> None:
    demo = start("--files", str(sources))
    demo.wait_for(r"[1-9]\d* of 60 settled")
    demo.process.kill()
    deadline = time.monotonic() + 30
    while any(is_alive(pid) for pid in demo.worker_pids()) and time.monotonic() < deadline:
        time.sleep(0.05)  # nothing tells of the end of a process that is no child
    assert not any(is_alive(pid) for pid in demo.worker_pids())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--files", "/no/such/folder"), "there is no folder /no/such/folder"),
        (("--files", "{empty}"), "there is no .py file below"),
        (("--limit", "0"), "must be at least 1"),
    ],
)
def test_wrong_arguments_are_exit_2(
    start: Callable[..., Demo], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, talk = start(*(argument.format(empty=tmp_path) for argument in arguments)).end()
    assert (code, out) == (2, "")
    assert message in talk


def test_a_terminal_gets_bars_unless_plain_lines_are_asked_for() -> None:
    from rich.console import Console

    assert isinstance(open_screen(Console(force_terminal=True), plain=False), LiveScreen)
    assert isinstance(open_screen(Console(force_terminal=True), plain=True), PlainScreen)
    assert isinstance(open_screen(Console(force_terminal=False), plain=False), PlainScreen)


@pytest.mark.parametrize(
    ("source", "definitions", "branches"),
    [
        (b"", 0, 0),
        (b"class A:\n    async def f(self): ...\n", 2, 0),
        (b"for x in y:\n    while x:\n        z = 1 if x else 2\n", 0, 3),
        (b"try:\n    pass\nexcept ValueError:\n    match x:\n        case 1: pass\n        case _: pass\n", 0, 3),
        ("# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"), 0, 0),
    ],
)
def test_definitions_and_branches_are_counted(source: bytes, definitions: int, branches: int) -> None:
    counts = count_source(source)
    assert (counts.definitions, counts.branches) == (definitions, branches)


def test_tokens_are_counted() -> None:
    assert count_source(b"x = 1\n") == FileCounts(tokens=6, definitions=0, branches=0)  # with encoding and the end


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"x = 1\nif x\n    pass\n", "SyntaxError: expected ':', line 2"),
        (b"# coding: nothing\n", "SyntaxError: unknown encoding: nothing"),
        (b"x = '\xff'\n", "SyntaxError: invalid or missing encoding declaration"),
        (b"x = (\n", ", line "),
        (b"if x:\n        a\n    b\n", "IndentationError: "),
        (b"x = 1\0\n", "null bytes"),
    ],
)
def test_why_a_file_cannot_be_read_is_said_in_one_line(source: bytes, reason: str) -> None:
    with pytest.raises(AnalysisError) as caught:
        count_source(source)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_installed_packages_are_no_part_of_the_library(tmp_path: Path) -> None:
    for name in ("b.py", "a/z.py", "site-packages/x.py", "a/__pycache__/y.py", "a/data.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    assert find_python_files(tmp_path) == [tmp_path / "a/z.py", tmp_path / "b.py"]


def test_a_ledger_is_read_as_it_grows(tmp_path: Path) -> None:
    reader = LedgerReader(tmp_path / "ledger")
    assert reader.read() == []
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.added("j1", "ä.py")
        assert [(entry.event, entry.job_id, entry.file) for entry in reader.read()] == [(Event.ADDED, "j1", "ä.py")]
        ledger.started("j1", "ä.py", run="s.1", attempt=1)
        ledger.killed(7)
        assert [(entry.event, entry.number, entry.target) for entry in reader.read()] == [
            (Event.STARTED, 2, 0),
            (Event.KILLED, 3, 7),
        ]
    assert reader.read() == []


def test_a_changed_line_is_not_read() -> None:
    line = format_line(Entry(Event.ADDED, 1, 1, job_id="j1"))
    assert parse_line(line).job_id == "j1"
    for index in range(len(line) - 1):
        with pytest.raises(UnreadableLineError):
            parse_line(line[:index] + bytes([line[index] ^ 1]) + line[index + 1 :])


def whole_story() -> tuple[list[Entry], Books]:
    """Process 1 adds two jobs and kills 2, which ran both: one settled, one went on in 3, failed once, and again."""
    added = [Entry(Event.ADDED, 1, 1, "a", "a.py"), Entry(Event.ADDED, 1, 2, "b", "b.py")]
    first = [
        Entry(Event.STARTED, 2, 1, "a", "a.py", "s.1", 1),
        Entry(Event.STARTED, 2, 2, "b", "b.py", "s.1", 1),
        Entry(Event.FINISHED, 2, 3, "a", "a.py", "s.1", 1, "completed"),
    ]
    kill = [Entry(Event.KILLED, 1, 3, target=2)]
    second = [
        Entry(Event.STARTED, 3, 1, "b", "b.py", "t.1", 1),
        Entry(Event.FINISHED, 3, 2, "b", "b.py", "t.1", 1, "failed"),
        Entry(Event.STARTED, 3, 3, "b", "b.py", "t.2", 2),
        Entry(Event.FINISHED, 3, 4, "b", "b.py", "t.2", 2, "failed"),
    ]
    books = Books(
        live=frozenset(),
        settled={"a": ("completed", "s.1"), "b": ("failed", "t.2")},
        ended={("b", "s.1"): "stalled", ("b", "t.1"): "retried"},
    )
    return [*added, *first, *kill, *second], books


def test_the_accounts_of_a_whole_story_agree() -> None:
    entries, books = whole_story()
    verdict = Audit(entries, 0, books).verdict()
    assert verdict.agree, verdict.disagreements
    assert (verdict.added, verdict.settled, verdict.completed, verdict.failed) == (2, 2, 1, 1)
    assert (verdict.repeated_runs, verdict.repeated_by_kill) == (1, 1)


@pytest.mark.parametrize("index", range(10))
def test_each_line_is_needed(index: int) -> None:
    entries, books = whole_story()
    assert not Audit(entries[:index] + entries[index + 1 :], 0, books).verdict().agree


def test_a_lost_job_is_seen() -> None:
    entries, books = whole_story()
    verdict = Audit(entries, 0, evolve(books, settled={"b": ("failed", "t.2")})).verdict()
    assert (verdict.lost, verdict.agree) == (1, False)


def test_a_job_settled_twice_is_seen() -> None:
    entries, books = whole_story()
    again = [
        Entry(Event.STARTED, 4, 1, "a", "a.py", "u.1", 1),
        Entry(Event.FINISHED, 4, 2, "a", "a.py", "u.1", 1, "completed"),
    ]
    verdict = Audit([*entries, *again], 0, books).verdict()
    assert (verdict.settled_twice, verdict.agree) == (1, False)
