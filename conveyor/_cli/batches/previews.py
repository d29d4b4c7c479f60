"""What a look at all rows found, in words: counts, first differences, errors by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conveyor._cli.asking import counted
from conveyor._cli.output import in_words, printable
from conveyor.model.batches.values import RowOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from conveyor._handles.batch_job import BatchJob

__all__ = ["bad_rows_kept", "dry_run_lines", "failed_in", "preview_lines"]

# More are not read before a question; all of them are in `conveyor batch show`.
_SHOWN: Final = 5
_TRIED: Final = {
    "rolled_back": "all rows were written, and rolled back",
    "checked": "rows were only checked, since what writing them does cannot be undone",
}


_BASES: Final[Mapping[str, Callable[[int], str]]] = {
    "earlier_runs": lambda runs: f"in {counted(runs, 'earlier run')}",
    "dry_runs": lambda runs: f"in {counted(runs, 'dry run')}",
}


def failed_in(record: Mapping[str, Any]) -> int:
    """Return how many rows of a batch job are bad, as far as that is known."""
    found = _preview_of(record).get("counts", {}).get("failed", 0)
    return max(int(found), int(record["counts"].get("failed", 0)))


def bad_rows_kept(batch: BatchJob) -> int:
    """Return how many bad rows of a batch job are kept: those of its runs; before the first, those of the look."""
    if batch.data.run is not None:
        return batch.counts.get(RowOutcome.FAILED, 0)
    return int(_preview_of({"result": batch.result}).get("counts", {}).get(RowOutcome.FAILED, 0))


def preview_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was found before anything is written; `record` is the batch job as it may be shown."""
    preview = _preview_of(record)
    if not preview:
        if record["total"] is not None:
            yield counted(record["total"], "row")
        return
    kinds = ", ".join(f"{count} {outcome}" for outcome, count in preview["counts"].items())
    took = in_words(preview["check_seconds"])
    yield f"{counted(preview['rows'], 'row')}, read and checked in {took}: {kinds or 'none'}"
    if estimate := preview.get("estimate"):
        basis = _BASES[estimate["basis"]](estimate["runs"])
        yield f"  about {in_words(estimate['seconds'])} to process them, as {basis}"
    for difference in preview["differences"][:_SHOWN]:
        changes = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in difference["changes"].items())
        yield printable(f"  row {difference['row']}: {changes}")
    for column, codes in preview["errors"].items():
        told = ", ".join(f"{count} {code}" for code, count in codes.items())
        yield printable(f"  column {column or '(none)'}: {told}")
    for error in preview["first_errors"][:_SHOWN]:
        yield printable(f"  row {error['row']}: {error['message']}")


def dry_run_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a dry run did; nothing where its strategy does not say so."""
    result = record["result"]
    found = result.get("dry_run") if isinstance(result, dict) else None
    # Strategies without rows may keep anything there.
    if not isinstance(found, dict) or (tried := _TRIED.get(str(found.get("rows_were")))) is None:
        return
    yield f"nothing is kept: {tried}"
    if isinstance(seconds := found.get("estimate_seconds"), int | float):
        yield f"to process them all would take about {in_words(seconds)}"


def _preview_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    result = record["result"]
    found = result.get("preview") if isinstance(result, dict) else None
    return found if isinstance(found, dict) else {}
