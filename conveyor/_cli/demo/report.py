"""The report: totals, slowest files, failed files, the proof's numbers, and the verdict in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from conveyor import Job, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console

    from conveyor._cli.demo.story import Ending

__all__ = ["print_report", "verdict_line"]

SLOWEST_SHOWN: Final = 8
FAILED_SHOWN: Final = 20
DISAGREEMENTS_SHOWN: Final = 20

_PROOF_ROWS: Final = {
    "added": "added",
    "settled": "settled",
    "completed": "of them completed",
    "failed": "of them failed",
    "lost": "lost",
    "settled_twice": "settled twice",
    "repeated_runs": "runs repeated",
    "repeated_by_kill": "of them because of the kill",
    "ledger_lines": "lines in the ledger",
}


def print_report(console: Console, ending: Ending, root: Path) -> None:
    """Print everything; the verdict comes last."""
    results = {_file(job, root): json.loads(job.data.result or b"{}") for job in _in(ending.jobs, JobState.COMPLETED)}
    failed = {_file(job, root): job for job in _in(ending.jobs, JobState.FAILED)}
    console.print(_totals(results, len(failed), ending.seconds))
    console.print(_slowest(results))
    if failed:
        console.print(_failures(failed))
    console.print(_proof(ending.proof))
    for line in ending.proof["disagreements"][:DISAGREEMENTS_SHOWN]:
        console.print(f"DISAGREEMENT: {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(verdict_line(ending.proof), markup=False, highlight=False, soft_wrap=True)


def verdict_line(proof: Mapping[str, Any]) -> str:
    """Return the proof in one line."""
    agree = "" if proof["agree"] else f"; LEDGER AND STORE DISAGREE ({len(proof['disagreements'])} times)"
    return (
        f"PROOF: {proof['added']:,} added = {proof['completed']:,} completed + {proof['failed']:,} failed; "
        f"lost {proof['lost']:,}; settled twice {proof['settled_twice']:,}; "
        f"{proof['repeated_by_kill']:,} runs repeated because of the kill{agree}"
    )


def _in(jobs: Iterable[Job[Any]], state: JobState) -> list[Job[Any]]:
    return [job for job in jobs if job.state is state]


def _file(job: Job[Any], root: Path) -> str:
    return str(Path(json.loads(job.data.payload)["file"]).relative_to(root))


def _totals(results: Mapping[str, Mapping[str, float]], failed_count: int, seconds: float) -> Table:
    table = _table("Results", "", "total", "per second")
    tokens, definitions, branches = (
        int(sum(counts[name] for counts in results.values())) for name in ("tokens", "definitions", "branches")
    )
    rows = {"files": len(results) + failed_count, "tokens": tokens, "definitions": definitions, "branches": branches}
    for name, count in rows.items():
        table.add_row(name, f"{count:,}", f"{count / seconds:,.0f}")
    table.add_row("seconds", f"{seconds:.1f}", "")
    return table


def _slowest(results: Mapping[str, Mapping[str, float]]) -> Table:
    table = _table("Slowest files", "file", "seconds", "tokens")
    slowest = sorted(results.items(), key=lambda item: (-item[1]["seconds"], item[0]))
    for file, counts in slowest[:SLOWEST_SHOWN]:
        table.add_row(Text(file), f"{counts['seconds']:.2f}", f"{counts['tokens']:,}")
    return table


def _failures(failed: Mapping[str, Job[Any]]) -> Table:
    table = Table(title="Failed files", title_justify="left")
    table.add_column("file", overflow="fold")
    table.add_column("attempts", justify="right")
    table.add_column("reason", overflow="fold")
    for file, job in sorted(failed.items())[:FAILED_SHOWN]:
        reason = "" if job.data.error is None else job.data.error.message
        table.add_row(Text(file), str(job.data.attempts_made), Text(reason))
    if len(failed) > FAILED_SHOWN:
        table.add_row(f"… and {len(failed) - FAILED_SHOWN} more", "", "")
    return table


def _proof(proof: Mapping[str, Any]) -> Table:
    table = _table("Proof, counted by a separate process from ledger and SQLite file", "", "count")
    for key, name in _PROOF_ROWS.items():
        table.add_row(name, f"{proof[key]:,}")
    return table


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right")
    return table
