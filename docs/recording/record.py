"""Record `conveyor demo` as it looks on a terminal, in one SVG that moves.

    python docs/recording/record.py                      writes docs/recording/demo.svg
    python docs/recording/record.py --limit 20 -o x.svg  a shorter one

It runs the real command on a pseudo-terminal, so it needs a system that has them. The times are those of the run.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import sysconfig
import termios
import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COLUMNS: Final = 110
ROWS: Final = 26
CELL_WIDTH: Final = 8.4
LINE_HEIGHT: Final = 18
MARGIN: Final = 14
# A frame for each change would be too large a file, and nobody sees more.
FRAME_SECONDS: Final = 0.25
LAST_FRAME_SECONDS: Final = 8.0

# What Live sends besides colours: cursor up, erase line, show and hide the cursor.
CONTROL: Final = re.compile(r"\x1b\[(\?25[lh]|\d*A|\d*K)|(\r\n|\r|\n)")

_CONSOLE: Final = Console(width=COLUMNS)

# Where this Python stands is nobody's business.
HOME: Final = str(Path(sysconfig.get_path("stdlib")).parents[1])

Frame = tuple[str, ...]


class Shot(NamedTuple):
    """What the screen showed from one second on."""

    seconds: float
    frame: Frame


class Span(NamedTuple):
    """A line that stood in one row from one second to another."""

    row: int
    line: str
    start: float
    end: float


class Terminal:
    """Understands as much of a terminal's language as rich speaks to redraw whole lines."""

    def __init__(self) -> None:
        """Start with an empty screen."""
        self._lines = [""]
        self._row = 0

    def feed(self, text: str) -> None:
        """Take output that does not end within a control sequence."""
        end = 0
        for control in CONTROL.finditer(text):
            self._lines[self._row] += text[end : control.start()]
            end = control.end()
            self._obey(control[1] or "", control[2] or "")
        self._lines[self._row] += text[end:]

    @property
    def frame(self) -> Frame:
        """The last lines that fit the screen."""
        return tuple(line.rstrip() for line in self._lines[-ROWS:])

    def _obey(self, control: str, line_end: str) -> None:
        if line_end.endswith("\n"):
            self._row += 1
            if self._row == len(self._lines):
                self._lines.append("")
        elif control.endswith("K"):
            self._lines[self._row] = ""
        elif control.endswith("A"):
            self._row = max(0, self._row - int(control[:-1] or 1))


def record(command: Sequence[str]) -> list[Shot]:
    """Run a command on a terminal of its own and return what it showed.

    Raises:
        SystemExit: the command failed.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    terminal, begun = Terminal(), time.monotonic()
    terminal.feed("$ conveyor demo\r\n")
    shots = [Shot(0.0, terminal.frame)]
    for text in _output(master):
        terminal.feed(text.replace(HOME, "…"))
        seconds = time.monotonic() - begun
        if seconds - shots[-1].seconds >= FRAME_SECONDS:
            shots.append(Shot(seconds, terminal.frame))
    os.close(master)
    if process.wait():
        raise SystemExit(f"{' '.join(command)} exited with {process.returncode}:\n" + "\n".join(terminal.frame))
    return [*shots, Shot(time.monotonic() - begun, terminal.frame)]


def _output(master: int) -> Iterator[str]:
    """Yield what arrives, cut where no character and no control sequence is torn."""
    waiting = b""
    while True:
        try:
            read = os.read(master, 65_536)
        except OSError:  # Linux says so when the last writer is gone
            read = b""
        waiting += read
        cut = len(waiting) if not read else waiting.rfind(b"\n") + 1
        if cut:
            yield waiting[:cut].decode("utf-8", "replace")
            waiting = waiting[cut:]
        if not read:
            return


def spans(shots: Sequence[Shot]) -> list[Span]:
    """Return the lines of all shots, each once for as long as it stood in its row."""
    found: list[Span] = []
    for number, shot in enumerate(shots):
        is_last = number + 1 == len(shots)
        end = shot.seconds + LAST_FRAME_SECONDS if is_last else shots[number + 1].seconds
        for row, line in enumerate(shot.frame):
            found.append(Span(row, line, shot.seconds, end))
    return [span for row in range(ROWS) for span in _joined([span for span in found if span.row == row])]


def _joined(row: Sequence[Span]) -> Iterator[Span]:
    """Yield the spans of a row that show something, neighbours that are equal made one."""
    pending: Span | None = None
    for span in row:
        if pending is not None and pending.line == span.line and pending.end == span.start:
            pending = pending._replace(end=span.end)
            continue
        if pending is not None:
            yield pending
        pending = span
    if pending is not None:
        yield pending


def to_svg(shots: Sequence[Shot]) -> str:
    """Return the recording; where pictures do not move, it shows the last frame."""
    length = shots[-1].seconds + LAST_FRAME_SECONDS
    width, height = round(COLUMNS * CELL_WIDTH + 2 * MARGIN), ROWS * LINE_HEIGHT + 2 * MARGIN
    theme = SVG_EXPORT_THEME
    texts = "\n".join(filter(None, (_text(span, length) for span in spans(shots))))
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>conveyor demo: two workers, one is killed, no job is lost</title>
<style>text {{ font: 14px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }}</style>
<rect width="100%" height="100%" rx="8" fill="{theme.background_color.hex}">
<animate id="loop" attributeName="x" values="0" begin="0s;loop.end" dur="{length:.2f}s"/></rect>
<g fill="{theme.foreground_color.hex}">
{texts}
</g>
</svg>
"""


def _text(span: Span, length: float) -> str:
    runs = "".join(_runs(Text.from_ansi(span.line)))
    if not runs:
        return ""
    y = MARGIN + (span.row + 0.75) * LINE_HEIGHT
    if span.end >= length:  # the last frame is what stays
        hidden = f'<set attributeName="visibility" to="hidden" begin="loop.begin" dur="{max(span.start, 0.01):.2f}s"/>'
        return f'<text y="{y:g}">{runs}{hidden}</text>'
    shown = f'begin="loop.begin+{span.start:.2f}s" dur="{span.end - span.start:.2f}s"'
    return f'<text y="{y:g}" visibility="hidden">{runs}<set attributeName="visibility" to="visible" {shown}/></text>'


def _runs(text: Text) -> Iterator[str]:
    """Yield each stretch of one colour at its own column, so that columns stand below each other in any font."""
    column = 0
    for segment in text.render(_CONSOLE):
        if segment.text.strip() and segment.text != "\n":
            indent = len(segment.text) - len(segment.text.lstrip())
            content = segment.text.strip()
            color = segment.style.color if segment.style is not None else None
            fill = f' fill="{color.get_truecolor(SVG_EXPORT_THEME).hex}"' if color and not color.is_default else ""
            weight = ' font-weight="bold"' if segment.style is not None and segment.style.bold else ""
            x, wide = MARGIN + (column + indent) * CELL_WIDTH, len(content) * CELL_WIDTH
            yield f'<tspan x="{x:g}" textLength="{wide:g}"{fill}{weight}>{_content(content)}</tspan>'
        column += len(segment.text)


def _content(text: str) -> str:
    """Return what stands in the SVG; its spaces are such that nobody takes several for one."""
    return escape(text, quote=False).replace(" ", "\N{NO-BREAK SPACE}")


def main() -> None:
    """Record and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=300, help="how many files the demo takes")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("demo.svg"))
    arguments = parser.parse_args()
    shots = record([sys.executable, "-m", "conveyor", "demo", "--limit", str(arguments.limit)])
    arguments.output.write_text(to_svg(shots), encoding="utf-8")


if __name__ == "__main__":
    main()
