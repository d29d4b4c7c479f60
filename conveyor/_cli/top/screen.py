"""What ``conveyor top`` shows of a look: a headline and four tables, as text or filling a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conveyor._cli.output import in_words
from conveyor._cli.tables import make_table, printable
from conveyor._cli.workers import TITLES, worker_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Group, RenderableType

__all__ = ["headline", "screen", "tables"]

Table: TypeAlias = "tuple[Sequence[str], Sequence[Sequence[object]]]"

_OUTCOMES: Final = ("completed", "failed", "retried", "stalled")
_LIVE: Final = ("waiting", "delayed", "active")


def headline(record: Mapping[str, Any]) -> str:
    """Return what the tables are about, in a line."""
    return f"{record['store']}   runs of the last {in_words(record['window_seconds'])}   {record['at'][:19]}Z"


def tables(record: Mapping[str, Any]) -> Iterator[Table]:
    """Yield titles and rows: queues, job names that ran, buffers, workers; those with nothing in them are left out."""
    if record["queues"]:
        yield ("queue", *_LIVE, "oldest", *_OUTCOMES), [_queue_row(queue) for queue in record["queues"]]
    if record["jobs"]:
        titles = ("job", "queue", *_OUTCOMES, "wait p50", "p95", "p99", "run p50", "p95", "p99")
        yield titles, [_job_row(job) for job in record["jobs"]]
    if record["buffers"]:
        yield ("buffer", "jobs", "bytes", "oldest"), [_buffer_row(buffer) for buffer in record["buffers"]]
    if record["workers"]:
        yield TITLES, [worker_row(worker) for worker in record["workers"]]


def _queue_row(queue: Mapping[str, Any]) -> Sequence[object]:
    oldest = queue["oldest_waiting_seconds"]
    return (
        queue["name"],
        *(queue["counts"][state] for state in _LIVE),
        "-" if oldest is None else in_words(oldest),
        *_counts(queue),
    )


def _job_row(job: Mapping[str, Any]) -> Sequence[object]:
    times = [job[kind][percentile] for kind in ("wait_seconds", "run_seconds") for percentile in ("p50", "p95", "p99")]
    return (job["name"], job["queue"], *_counts(job), *(_in_figures(seconds) for seconds in times))


def _buffer_row(buffer: Mapping[str, Any]) -> Sequence[object]:
    return (buffer["id"], buffer["jobs"], buffer["bytes"], in_words(buffer["oldest_seconds"]))


def _counts(runs: Mapping[str, Any]) -> Sequence[object]:
    return [runs["outcomes"].get(outcome, 0) for outcome in _OUTCOMES]


def _in_figures(seconds: float | None) -> str:
    """Return a time in two figures, which is as much as a histogram knows.

    >>> [_in_figures(seconds) for seconds in (0.00012, 0.0123, 0.938, 1.26, 150.0, None)]
    ['0.12ms', '12ms', '940ms', '1.3s', '2m', '-']
    """
    if seconds is None:
        return "-"
    two = float(f"{seconds:.2g}")
    if two < 1:
        return f"{two * 1000:g}ms"
    return f"{two:g}s" if two < 100 else in_words(seconds)


def screen(record: Mapping[str, Any], width: int) -> Group:
    """Return it all as it is drawn on a terminal of this width."""
    from rich.console import Group
    from rich.text import Text

    drawn: list[RenderableType] = [Text(printable(headline(record)), style="bold")]
    for titles, rows in tables(record):
        drawn += [Text(""), make_table(titles, rows, width)]
    return Group(*drawn)
