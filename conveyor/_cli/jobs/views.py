"""Jobs, their attempts and their log lines as records and as lines for people."""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
from attrs import evolve

from conveyor._cli.jobs.tracebacks import without_inner_frames
from conveyor._cli.output import age, span, write, write_table
from conveyor.codec import to_json
from conveyor.errors import CapabilityError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence

    from conveyor._handles.job import Job
    from conveyor.model.job import Attempt, LogEntry

__all__ = [
    "LIST_TITLES",
    "attempts_to_json",
    "followed_logs",
    "list_row",
    "log_line",
    "logs_to_json",
    "read_logs",
    "where_kept",
    "write_job",
]

T = TypeVar("T")

LIST_TITLES: Final = ("id", "queue", "name", "state", "attempts", "age", "took", "last error")

_PAGE: Final = 1000
_SHORT: Final = 60
_LOOK_AGAIN_SECONDS: Final = 0.5
# Shown below the fields, each under a heading.
_APART: Final = ("payload", "result", "error", "parents", "children", "attempts", "logs")


def list_row(job: Mapping[str, Any]) -> Sequence[object]:
    """Return a job's cells in a list."""
    allowed = job["options"]["attempts"]
    attempts = f"{job['attempts_made']}/{allowed}"
    return (
        job["id"],
        job["queue_name"],
        job["name"],
        job["state"],
        attempts,
        age(job["created_at"]),
        span(job["started_at"], job["finished_at"]),
        _error_line(job["error"]),
    )


def write_job(job: Mapping[str, Any]) -> None:
    """Print a job with everything that belongs to it."""
    fields = {key: value for key, value in job.items() if key not in _APART}
    options = fields.pop("options")
    write_table((), [(key, _plain(value)) for key, value in fields.items()])
    _section("options", [(key, _plain(value)) for key, value in options.items()])
    write("\npayload")
    write(_indented(json.dumps(job["payload"], ensure_ascii=False, indent=2)))
    if job["state"] == "completed":
        write("\nresult")
        write(_indented(json.dumps(job["result"], ensure_ascii=False, indent=2)))
    if job["error"] is not None and job["error"] not in [attempt["error"] for attempt in job["attempts"]]:
        write("\nlast error")
        write(_indented(_error_text(job["error"])))
    _section("parents", [(parent,) for parent in job["parents"]])
    _section("children", [tuple(_plain(value) for value in child.values()) for child in job["children"]])
    if job["attempts"]:
        write("\nattempts")
    for attempt in job["attempts"]:
        _write_attempt(attempt)
    if job["logs"]:
        write("\nlogs")
    for entry in job["logs"]:
        write(f"  {log_line(entry)}")


def attempts_to_json(attempts: Sequence[Attempt], log_lines: int) -> list[dict[str, Any]]:
    """Return runs as JSON-like values, each with its last lines, and a lock token as one word."""
    return [_attempt_to_json(attempt, log_lines) for attempt in attempts]


def _attempt_to_json(attempt: Attempt, log_lines: int) -> dict[str, Any]:
    last = attempt.logs[max(len(attempt.logs) - log_lines, 0) :]
    known: dict[str, Any] = to_json(evolve(attempt, logs=()))
    return known | {"token": str(attempt.token), "worker_id": attempt.worker_id, "logs": logs_to_json(last)}


def logs_to_json(entries: Sequence[LogEntry]) -> list[dict[str, Any]]:
    """Return log lines as JSON-like values."""
    return [
        {"at": None if entry.at is None else entry.at.isoformat(), "attempt": entry.attempt, "message": entry.message}
        for entry in entries
    ]


def log_line(entry: Mapping[str, Any]) -> str:
    """Return a log line for people."""
    attempt = "" if entry["attempt"] is None else f" #{entry['attempt']}"
    return f"{entry['at'] or ''}{attempt} {entry['message']}"


async def where_kept(asked: Awaitable[Sequence[T]]) -> Sequence[T]:
    """Return what is kept of a job; nothing where its job queue keeps no such thing."""
    try:
        return await asked
    except CapabilityError:
        return ()


async def read_logs(job: Job[Any], tail: int | None) -> list[LogEntry]:
    """Return a job's log lines, oldest first: all, or the last ones."""
    kept: deque[LogEntry] = deque(maxlen=tail)
    start = 0
    while page := await job.logs(start, start + _PAGE):
        kept.extend(page)
        start += len(page)
    return list(kept)


async def followed_logs(job: Job[Any], tail: int | None) -> AsyncIterator[Sequence[LogEntry]]:
    """Yield a job's log lines as they come, after those there are (all, or the last ones), until it has ended."""
    first = await read_logs(job, None)
    yield first if tail is None else first[max(len(first) - tail, 0) :]
    seen, last = len(first), first[-1] if first else None
    has_ended = job.state.is_settled
    while True:
        while page := await _lines_after(job, seen, last):
            seen, last = seen + len(page), page[-1]
            yield page
        if has_ended:
            return
        # Lines wake nobody, the end of the job does.
        with anyio.move_on_after(_LOOK_AGAIN_SECONDS):
            await job.wait_until_finished()
            has_ended = True


async def _lines_after(job: Job[Any], seen: int, last: LogEntry | None) -> Sequence[LogEntry]:
    """Return the lines after the last that was seen, some of them where there are many."""
    if last is None:
        return await job.logs(0, _PAGE)
    page = await job.logs(seen - 1, seen + _PAGE)
    if page and page[0] == last:
        return page[1:]
    # The oldest are gone by now, and the others have moved up.
    lines = await read_logs(job, None)
    return lines[len(lines) - lines[::-1].index(last) :] if last in lines else lines


def _section(heading: str, rows: Sequence[Sequence[object]]) -> None:
    if rows:
        write(f"\n{heading}")
        write_table((), rows)


def _write_attempt(attempt: Mapping[str, Any]) -> None:
    took = span(attempt["started_at"], attempt["ended_at"])
    where = "" if attempt["hostname"] is None else f"  on {attempt['hostname']} ({attempt['pid']})"
    write(f"  #{attempt['number']}  {attempt['started_at']}  {attempt['outcome']} after {took}{where}")
    if attempt["error"] is not None:
        write(_indented(_error_text(attempt["error"]), by=6))


def _error_text(error: Mapping[str, Any]) -> str:
    return without_inner_frames(error["traceback"]).rstrip() or f"{error['type']}: {error['message']}"


def _error_line(error: Mapping[str, Any] | None) -> str:
    if error is None:
        return ""
    line = " ".join(f"{error['type']}: {error['message']}".split()).rstrip(":")
    return line if len(line) <= _SHORT else f"{line[: _SHORT - 1]}…"


def _plain(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _indented(text: str, by: int = 2) -> str:
    return "\n".join(f"{' ' * by}{line}" for line in text.splitlines())
