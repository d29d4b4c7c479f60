"""What a look at all rows found, in words and tables: counts, first differences, errors by column."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from conveyor._cli.asking import counted
from conveyor._cli.output import in_words, table_lines
from conveyor.codec import find_preview
from conveyor.model.batches.status import BatchStatus
from conveyor.model.batches.values import RowOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from conveyor._handles.batch_job import BatchJob
    from conveyor.model.batches.previews import Preview
    from conveyor.model.masking import Masking

__all__ = ["bad_rows", "bad_rows_kept", "dry_run_lines", "preview_lines", "preview_of"]

# More are not read before a question; all of them are in `conveyor batch show`.
_SHOWN: Final = 5
# What these words say of rows that are done, they do not say of rows that will be.
_BEFORE: Final[Mapping[str, str]] = {RowOutcome.DONE: "good", RowOutcome.FAILED: "bad"}
_TRIED: Final = {
    "rolled_back": "all rows were written, and rolled back",
    "checked": "rows were only checked, since what writing them does cannot be undone",
}

_BASES: Final[Mapping[str, Callable[[int], str]]] = {
    "earlier_runs": lambda runs: f"in {counted(runs, 'earlier run')}",
    "dry_runs": lambda runs: f"in {counted(runs, 'dry run')}",
}


def preview_of(batch: BatchJob, masking: Masking | None) -> Preview | None:
    """Return what a look at all rows found, as it may be shown; None: nobody looked.

    Raises:
        PayloadError: it is encrypted, and this app has no key for it.
    """
    found = find_preview(batch.result)
    return found if found is None or masking is None else found.masked(masking)


def bad_rows(batch: BatchJob) -> int:
    """Return how many rows of a batch job are bad, as far as that is known."""
    return max(_previewed(batch), batch.counts.get(RowOutcome.FAILED, 0))


async def bad_rows_kept(batch: BatchJob) -> int:
    """Return how many bad rows of a batch job are kept: those of its runs; before the first, those of the look."""
    if batch.data.run is None:
        return _previewed(batch)
    failed = batch.counts.get(RowOutcome.FAILED, 0)
    if batch.status is not BatchStatus.FAILED:
        return failed
    # The row that ended it is kept, and not counted.
    return failed + sum([error.ended_run async for error in batch.errors()])


def preview_lines(preview: Preview | None, total: int | None) -> Iterator[str]:
    """Yield what was found before anything is written."""
    if preview is None:
        if total is not None:
            yield counted(total, "row")
        return
    kinds = ", ".join(f"{count} {_BEFORE.get(kind, kind)}" for kind, count in preview.counts.items())
    yield f"{counted(preview.rows, 'row')}, read and checked in {in_words(preview.check_seconds)}: {kinds or 'none'}"
    if estimate := preview.estimate:
        basis = _BASES[estimate.basis](estimate.runs)
        yield f"  about {in_words(estimate.seconds)} to process them, as {basis}"
    yield from _table(
        ("row", "column", "now", "then"),
        [
            (difference.row, name, old, new)
            for difference in preview.differences[:_SHOWN]
            for name, (old, new) in difference.changes.items()
        ],
    )
    yield from _table(
        ("column", "code", "bad rows"),
        [
            (column or "(none)", code, count)
            for column, codes in preview.errors.items()
            for code, count in codes.items()
        ],
    )
    first_rows = list(dict.fromkeys(error.row for error in preview.first_errors))[:_SHOWN]
    yield from _table(
        ("bad row", "column", "message"),
        [(error.row, error.column, error.message) for error in preview.first_errors if error.row in first_rows],
    )


def dry_run_lines(result: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield what a dry run did; nothing where its strategy does not say so."""
    found = None if result is None else result.get("dry_run")
    # Strategies without rows may keep anything there.
    if not isinstance(found, dict) or (tried := _TRIED.get(str(found.get("rows_were")))) is None:
        return
    yield f"nothing is kept: {tried}"
    if isinstance(seconds := found.get("estimate_seconds"), int | float):
        yield f"to process them all would take about {in_words(seconds)}"


def _previewed(batch: BatchJob) -> int:
    found = find_preview(batch.result)
    return 0 if found is None else found.counts.get(RowOutcome.FAILED, 0)


def _table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    if rows:
        yield ""
        yield from (f"  {line}" for line in table_lines(titles, rows, sys.stderr))
