"""The screen: live bars on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, Self

from attrs import frozen
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from rich.console import Console

__all__ = ["LiveScreen", "PlainScreen", "Screen", "View", "WorkerView", "open_screen"]

PLAIN_INTERVAL_SECONDS: Final = 1.0
EVENTS_SHOWN: Final = 6


@frozen
class WorkerView:
    """One worker as it is shown."""

    number: int
    backend: str
    is_killed: bool
    finished_count: int
    running: Sequence[str]


@frozen
class View:
    """The moment as it is shown; `slowest` is seconds and file, longest first."""

    seconds: float
    total: int
    completed: int
    failed: int
    active: int
    throughput: float
    workers: Sequence[WorkerView]
    slowest: Sequence[tuple[float, str]]

    @property
    def settled(self) -> int:
        """How many jobs are done."""
        return self.completed + self.failed


class Screen(Protocol):
    """Where the demo shows what goes on."""

    def show(self, view: View) -> None:
        """Show the moment."""
        ...

    def say(self, text: str) -> None:
        """Tell of an event."""
        ...


class PlainScreen:
    """A line about every second, and one for each event."""

    def __init__(self, console: Console) -> None:
        """Bind to a console."""
        self._console = console
        self._next_seconds = 0.0

    def __enter__(self) -> Self:
        """Nothing to open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def show(self, view: View) -> None:
        """Print a line if the last one is a second old."""
        if view.seconds < self._next_seconds and view.settled < view.total:
            return
        self._next_seconds = view.seconds + PLAIN_INTERVAL_SECONDS
        workers = ", ".join(
            f"worker {worker.number} {worker.backend} {'killed' if worker.is_killed else worker.finished_count}"
            for worker in view.workers
        )
        share = 100 * view.settled // view.total
        slowest = f"; slowest {_timed(*view.slowest[0])}" if view.slowest else ""
        self.say(
            f"{view.seconds:5.1f} s  {view.settled:,} of {view.total:,} settled ({share} %), {view.failed} failed, "
            f"{view.throughput:.0f} files/s; {workers}{slowest}"
        )

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveScreen:
    """Bars that move: one for all, one for each worker; throughput, slowest files, events."""

    def __init__(self, console: Console) -> None:
        """Bind to a terminal."""
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=40), MofNCompleteColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[note]}", markup=False))
        self._bars: dict[int, TaskID] = {}
        self._slowest = ""
        self._events: list[str] = []
        self._live = Live(console=console, refresh_per_second=8)

    def __enter__(self) -> Self:
        """Take the terminal."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._live.stop()

    def show(self, view: View) -> None:
        """Move the bars."""
        note = f"{view.throughput:.0f} files/s, {view.active} active, {view.failed} failed, {view.seconds:.0f} s"
        self._move(0, "all files", view.settled, view.total, note)
        for worker in view.workers:
            name = f"worker {worker.number} {worker.backend}"
            note = "[killed]" if worker.is_killed else " ".join(worker.running)
            self._move(worker.number, name, worker.finished_count, view.total, note)
        self._slowest = "slowest: " + ", ".join(_timed(*file) for file in view.slowest)
        self._draw()

    def say(self, text: str) -> None:
        """Add a line below the bars."""
        self._events.append(text)
        self._draw()

    def _draw(self) -> None:
        texts = (self._slowest, *self._events[-EVENTS_SHOWN:])
        lines = [Text(text, overflow="ellipsis", no_wrap=True) for text in texts]
        self._live.update(Group(self._progress, *lines))

    def _move(self, number: int, name: str, done: int, total: int, note: str) -> None:
        if number not in self._bars:
            self._bars[number] = self._progress.add_task(name, total=total, note=note)
        self._progress.update(self._bars[number], completed=done, total=total, note=note)


def open_screen(console: Console, *, plain: bool) -> AbstractContextManager[Screen]:
    """Return the screen that fits the console."""
    return PlainScreen(console) if plain or not console.is_terminal else LiveScreen(console)


def _timed(seconds: float, file: str) -> str:
    return f"{file} {seconds:.2f} s"
