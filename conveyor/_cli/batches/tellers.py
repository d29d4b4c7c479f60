"""Who tells how a batch job goes: a bar at a terminal, lines elsewhere, and JSON for programs."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import define

from conveyor._cli.output import printable, say, write_json
from conveyor.model.batches.status import BatchStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console
    from rich.progress import Progress

    from conveyor._handles.batch_job import BatchEvent, BatchJob

__all__ = ["JsonLines", "Teller", "bar_on", "teller_on_stderr"]

PROGRESS_SECONDS: Final = 5.0
# A chunk of rows may take a while, and a worker that died is missed only once its lock has run out.
LONG_SILENCES: Final = 4
_WAITS_FOR: Final = {
    BatchStatus.CREATED: "no worker has taken it yet: run one of its app, with conveyor worker MODULE:ATTR",
    BatchStatus.PRE_PROCESSED: "it waits for somebody to confirm it: conveyor batch confirm {id}",
    BatchStatus.CONFIRMED: "no worker has room for it yet: run one of its app, with conveyor worker MODULE:ATTR",
    BatchStatus.INTERRUPTED: "its worker has stopped, and it waits for another: conveyor worker MODULE:ATTR",
    BatchStatus.PAUSED: "it is paused; to let it go on: conveyor batch resume {id}",
}
_IS_QUIET: Final = (
    "nothing is heard of it; if its worker is gone, another goes on once the lock is over: conveyor worker MODULE:ATTR"
)
_WORKED_ON: Final = frozenset({BatchStatus.PROCESSING, BatchStatus.PAUSING, BatchStatus.CANCELLING})


class Teller(Protocol):
    """Tells what happens to a batch job."""

    def happened(self, event: BatchEvent, record: Mapping[str, Any]) -> None:
        """Tell an event; `record` is the batch job as it may be shown."""
        ...

    def silent(self, batch: BatchJob) -> None:
        """Tell what it waits for, since nothing happened for a while; nothing where it goes on."""
        ...


@define
class _Silence:
    """Knows what to say of a batch job that nothing is heard of, and that it was said."""

    _lasted: int = 0
    _said: str | None = None

    def broken(self) -> None:
        """Begin anew: something happened."""
        self._lasted, self._said = 0, None

    def lasts(self, batch: BatchJob) -> str | None:
        """Return what it waits for, once; None: there is nothing to say, or it was said."""
        self._lasted += 1
        words = _WAITS_FOR.get(batch.status)
        if batch.status in _WORKED_ON and self._lasted >= LONG_SILENCES:
            words = _IS_QUIET
        if words is None or words == self._said:
            return None
        self._said = words
        return words.format(id=batch.id)


class Lines:
    """A line on stderr for every change of status, and now and then for progress."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Say nothing yet; the time is in seconds."""
        self._silence = _Silence()
        self._now = now
        self._next_progress_at = now()

    def happened(self, event: BatchEvent, record: Mapping[str, Any]) -> None:
        """Say it, but not each step: an hour's import would fill a log with thousands."""
        self._silence.broken()
        if event.change is not None:
            say(printable(_status_line(event, record)))
        elif event.batch.status.is_ended or self._now() >= self._next_progress_at:
            self._next_progress_at = self._now() + PROGRESS_SECONDS
            say(printable(_progress_line(record)))

    def silent(self, batch: BatchJob) -> None:
        """Say what it waits for, once."""
        if (words := self._silence.lasts(batch)) is not None:
            say(words)


class Bar:
    """A bar with how many rows are done, the rate and the time left; what else is said stands above it."""

    def __init__(self, progress: Progress) -> None:
        """Draw in a display that runs."""
        self._progress = progress
        self._task = progress.add_task("", total=None, told="")
        self._silence = _Silence()

    def happened(self, event: BatchEvent, record: Mapping[str, Any]) -> None:
        """Draw it."""
        from conveyor._cli.batches.records import progress_in_words

        self._silence.broken()
        if event.change is not None and (event.change.by is not None or event.change.reason is not None):
            self._say(_status_line(event, record))
        self._progress.update(
            self._task,
            description=record["status"],
            completed=record["done"],
            total=record["total"],
            told=printable(progress_in_words(record["progress"])),
        )
        self._progress.refresh()

    def silent(self, batch: BatchJob) -> None:
        """Say what it waits for, once."""
        if (words := self._silence.lasts(batch)) is not None:
            self._say(words)

    def _say(self, text: str) -> None:
        self._progress.console.print(printable(text), markup=False, highlight=False)


class JsonLines:
    """A JSON object on stdout for everything that happens."""

    def happened(self, event: BatchEvent, record: Mapping[str, Any]) -> None:
        """Print it."""
        change = None if event.change is None else record["history"][event.batch.history.index(event.change)]
        shown = {name: record[name] for name in ("id", "status", "counts", "progress")}
        write_json({"kind": str(event.kind), **shown, "change": change}, on_one_line=True)
        sys.stdout.flush()

    def silent(self, batch: BatchJob) -> None:
        """Print nothing: nothing happened."""


@contextmanager
def teller_on_stderr() -> Iterator[Teller]:
    """Give what tells on stderr: a bar at a terminal, else lines."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console

    with bar_on(Console(stderr=True)) as bar:
        yield bar


@contextmanager
def bar_on(console: Console) -> Iterator[Bar]:
    """Give a bar at a terminal; it is gone at the end, when what came of it is said."""
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[told]}", markup=False),
    )
    # Drawn when something happens: nothing moves in between.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        yield Bar(progress)


def _status_line(event: BatchEvent, record: Mapping[str, Any]) -> str:
    # The masked one.
    change = record["history"][event.batch.history.index(event.change)] if event.change is not None else {}
    by = "" if change["by"] is None else f" by {change['by']}"
    reason = "" if change["reason"] is None else f": {change['reason']}"
    return f"{change['after']}{by}{reason}"


def _progress_line(record: Mapping[str, Any]) -> str:
    from conveyor._cli.batches.records import progress_in_words

    return progress_in_words(record["progress"])
