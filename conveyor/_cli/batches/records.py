"""Batch jobs and their bad rows as records, masked, and as lines for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from conveyor._cli.output import age, in_words, write, write_table
from conveyor.codec import find_preview, to_json
from conveyor.model.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conveyor._handles.batch_job import BatchJob
    from conveyor.model.batches.parts import BatchPart
    from conveyor.model.batches.values import RowError, RowFault
    from conveyor.model.masking import Masking

__all__ = [
    "LIST_TITLES",
    "ROW_TITLES",
    "batch_record",
    "fault_records",
    "list_row",
    "part_record",
    "progress_in_words",
    "row_cells",
    "row_record",
    "write_batch",
]

LIST_TITLES: Final = ("id", "type", "status", "done", "total", "failed", "by", "age", "message")
ROW_TITLES: Final = ("row", "column", "code", "message")
PART_TITLES: Final = ("part", "status", "done", "failed", "error")

# The store's own affair: who may write, and what two are compared by.
_HIDDEN: Final = frozenset({"run", "run_started_at", "run_started_from", "identity", "cursor"})
# What people wrote, or what speaks of it.
_WRITTEN: Final = ("context", "result", "message", "error", "history", "progress")
# Shown below the fields, each under a heading.
_APART: Final = ("context", "result", "counts", "history", "each_part")


def batch_record(batch: BatchJob, masking: Masking | None) -> dict[str, Any]:
    """Return what is known of a batch job, as the store keeps it: what is sealed stays so. No masking: all of it."""
    known: dict[str, Any] = to_json(batch.data)
    record = {name: value for name, value in known.items() if name not in _HIDDEN}
    record["progress"] = to_json(batch.progress)
    if masking is None:
        return record
    secrets = masking.secrets(record["context"])
    shown = {name: masking.value(record[name], secrets) for name in _WRITTEN}
    if (found := find_preview(record["result"])) is not None:
        # Under the names of columns it has numbers and pairs, which are to stay so.
        shown["result"]["preview"] |= to_json(found.masked(masking, secrets))
    return record | shown


def part_record(part: BatchPart, masking: Masking | None) -> dict[str, Any]:
    """Return what is known of a part of a batch job."""
    error = part.error if masking is None or part.error is None else masking.text(part.error)
    counts = {outcome.value: count for outcome, count in part.counts.items()}
    return {
        "number": part.number,
        "status": part.status.value,
        "done": part.done,
        "counts": counts,
        "job_id": part.job_id,
        "error": error,
    }


def row_record(error: RowError, masking: Masking | None) -> dict[str, Any]:
    """Return what is known of a bad row; with masking, the row itself is left out.

    The columns of a row have no names in it, so nobody can tell which of its cells to mask.
    """
    record: dict[str, Any] = to_json(error)
    if masking is None:
        return record
    first, *others = ({**to_json(fault), "message": _message(fault, masking)} for fault in error.faults)
    return {**record, **first, "raw": None, "also": others}


def _message(fault: RowFault, masking: Masking) -> str:
    # It tends to quote the cell.
    is_masked = fault.column is not None and masking.is_masked(fault.column)
    return MASK if is_masked else masking.text(fault.message)


def fault_records(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a bad row's record for each thing that is wrong about it, as lines of a table have them."""
    plain = {name: value for name, value in row.items() if name != "also"}
    yield plain
    yield from (plain | fault for fault in row["also"])


def list_row(batch: Mapping[str, Any]) -> Sequence[object]:
    """Return a batch job's cells in a list."""
    return (
        batch["id"],
        batch["batch_type"],
        batch["status"] + (" (dry run)" if batch["dry_run"] else ""),
        batch["done"],
        batch["total"],
        batch["counts"].get("failed", 0),
        batch["created_by"],
        age(batch["created_at"]),
        batch["error"] or batch["message"],
    )


def row_cells(row: Mapping[str, Any]) -> Sequence[object]:
    """Return a bad row's cells in a list."""
    shown = (row["row_number"], row["column"], row["code"], row["message"])
    return shown if row["raw"] is None else (*shown, row["raw"])


def progress_in_words(progress: Mapping[str, Any]) -> str:
    """Return how far a batch job is, its rate, and the time left, as far as they are known."""
    done, total = progress["done"], progress["total"]
    words = [f"{done} rows" if total is None else f"{done} of {total} rows"]
    if progress["per_second"] is not None:
        words.append(f"{progress['per_second']:.0f} a second")
    if progress["seconds_left"] is not None:
        words.append(f"{in_words(progress['seconds_left'])} left")
    if progress["message"] is not None:
        words.append(progress["message"])
    return ", ".join(words)


def write_batch(batch: Mapping[str, Any]) -> None:
    """Print a batch job with everything that belongs to it."""
    fields = {name: value for name, value in batch.items() if name not in _APART}
    write_table((), [(name, _plain(value)) for name, value in fields.items()])
    for heading in ("context", "result"):
        if batch[heading] is not None:
            write(f"\n{heading}")
            lines = json.dumps(batch[heading], ensure_ascii=False, indent=2).splitlines()
            write("\n".join(f"  {line}" for line in lines))
    if batch["counts"]:
        write("\nrows")
        write_table((), batch["counts"].items())
    if batch.get("each_part"):
        write("\nparts")
        write_table(PART_TITLES, [_part_cells(part) for part in batch["each_part"]])
    write("\nhistory")
    write_table((), [_history_cells(change) for change in batch["history"]])


def _part_cells(part: Mapping[str, Any]) -> Sequence[object]:
    return (part["number"], part["status"], part["done"], part["counts"].get("failed", 0), part["error"])


def _history_cells(change: Mapping[str, Any]) -> Sequence[object]:
    by = "" if change["by"] is None else f"by {change['by']}"
    return (change["at"], change["after"], by, change["reason"])


def _plain(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
