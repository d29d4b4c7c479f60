"""Rows of a batch job: as they come from a source, as they are previewed, and what is counted of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from attrs import Factory, define, field, frozen

from conveyor.model.batches.values import RowError, RowFault, RowOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RowPreview", "RowTally", "SourceRow"]

RowT = TypeVar("RowT")

# What a result shows of so many rows; all of them are counted.
MOST_EXAMPLES: Final = 20
# So many kinds of errors are counted apart: codes may have anything in them, and a result is small.
MOST_KINDS: Final = 100
OTHER_CODES: Final = "others"


@frozen
class RowPreview:
    """What would become of a row, found without writing.

    Attributes:
        outcome: what would be done.
        changes: the fields that would change: what is there, and what would be.
    """

    outcome: RowOutcome = RowOutcome.DONE
    changes: Mapping[str, tuple[Any, Any]] = Factory(dict)


@define
class SourceRow(Generic[RowT]):
    """One row of a source. One is made for each row, so it is not frozen; treat it as if it were.

    Attributes:
        number: counted from 1.
        cursor: where a run goes on after this row, as JSON-like values.
        row: what it holds; None: it could not be read, and then `error` says why.
        raw: how it stands in the source; None: as JSON of `row`.
        error: why it is bad.
    """

    number: int
    cursor: Any
    row: RowT | None
    raw: str | None = None
    error: RowError | None = None


@define
class RowTally:
    """Counts what checking found, in bounded memory."""

    counts: Counter[RowOutcome] = field(factory=Counter)
    _differences: list[dict[str, Any]] = field(factory=list)
    _errors: dict[str, Counter[str]] = field(factory=dict)
    _examples: list[dict[str, Any]] = field(factory=list)

    def add(self, number: int, preview: RowPreview) -> None:
        """Count a row that passes."""
        self.counts[preview.outcome] += 1
        if preview.changes and len(self._differences) < MOST_EXAMPLES:
            changes = {name: list(change) for name, change in preview.changes.items()}
            self._differences.append({"row": number, "outcome": preview.outcome.value, "changes": changes})

    def add_error(self, error: RowError) -> None:
        """Count a row that is bad, and each thing that is wrong about it."""
        self.counts[RowOutcome.FAILED] += 1
        for fault in error.faults:
            self._add_fault(error.row_number, fault)

    def to_json(self) -> dict[str, Any]:
        """Return counts by outcome, the first differences, errors by column and code, and the first bad rows."""
        return {
            "counts": {outcome.value: count for outcome, count in self.counts.items()},
            "differences": self._differences,
            "errors": {column: dict(codes) for column, codes in self._errors.items()},
            "first_errors": self._examples,
        }

    def _add_fault(self, number: int, fault: RowFault) -> None:
        of_column = self._errors.setdefault(self._column_of(fault), Counter())
        code = fault.code if fault.code in of_column or self._has_room else OTHER_CODES
        of_column[code] += 1
        if len(self._examples) < MOST_EXAMPLES:
            self._examples.append({"row": number, "code": fault.code, "column": fault.column, "message": fault.message})

    @property
    def _has_room(self) -> bool:
        return sum(len(codes) for codes in self._errors.values()) < MOST_KINDS

    def _column_of(self, fault: RowFault) -> str:
        column = fault.column or ""
        return column if column in self._errors or self._has_room else ""
