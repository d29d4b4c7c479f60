"""The recording in README.md is small, shows the proof, and the script that makes it works."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import pytest

from tests.house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT: Final = ROOT / "docs" / "recording" / "record.py"
PICTURE: Final = ROOT / "docs" / "recording" / "demo.svg"
LARGEST_BYTES: Final = 150_000
LINE: Final = re.compile(r"<text .*?</text>")

if sys.platform == "win32":
    pytest.skip("it records on a pseudo-terminal", allow_module_level=True)


def words(picture: Path) -> str:
    """Return what can be read in a picture, without its look."""
    root = ET.fromstring(picture.read_text(encoding="utf-8"))
    return " ".join("".join(root.itertext()).replace("\N{NO-BREAK SPACE}", " ").split())


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_the_readme_shows_the_recording_and_it_ends_with_the_proof() -> None:
    assert "](docs/recording/demo.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert PICTURE.stat().st_size < LARGEST_BYTES
    assert "killed with SIGKILL" in words(PICTURE)
    assert re.search(r"PROOF: (\d+) added = \1 completed \+ 0 failed; lost 0; settled twice 0;", words(PICTURE))


def test_nothing_in_the_recording_says_whose_machine_it_was() -> None:
    assert not re.search(r"(?<![\w.…])/(?:root|home|Users|work)/", words(PICTURE))


def test_the_script_records_the_demo(tmp_path: Path) -> None:
    picture = tmp_path / "short.svg"
    command = [sys.executable, str(SCRIPT), "--limit", "8", "--output", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "$ conveyor demo" in words(picture)
    assert "PROOF: 8 added = 8 completed + 0 failed; lost 0" in words(picture)


def test_a_command_that_fails_is_not_recorded(script: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match="exited with 3"):
        script["record"]([sys.executable, "-c", "raise SystemExit(3)"])


def test_lines_that_are_drawn_again_replace_the_old(script: dict[str, Any]) -> None:
    terminal = script["Terminal"]()
    terminal.feed("first\r\nold bar\r\n")
    terminal.feed("\r\x1b[1A\x1b[2Knew bar\r\nlast")
    assert terminal.frame == ("first", "new bar", "last")


def test_a_line_is_drawn_once_for_as_long_as_it_stands(script: dict[str, Any]) -> None:
    shot = script["Shot"]
    shots = [shot(0.0, ("title", "1 of 2")), shot(1.0, ("title", "2 of 2")), shot(2.0, ("title", "2 of 2"))]
    end = 2.0 + script["LAST_FRAME_SECONDS"]
    assert script["spans"](shots) == [(0, "title", 0.0, end), (1, "1 of 2", 0.0, 1.0), (1, "2 of 2", 1.0, end)]
    assert len(LINE.findall(script["to_svg"](shots))) == 3
