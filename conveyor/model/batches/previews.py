"""What a look at all rows found before anything is written, as it stands in the result of a batch job."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from attrs import Factory, evolve, frozen

from conveyor.model.batches.estimates import Estimate
from conveyor.model.masking import MASK, Masking

__all__ = ["Preview", "PreviewedDifference", "PreviewedError"]


@frozen
class PreviewedDifference:
    """A row that would change something: its fields, what is there, and what would be."""

    row: int
    changes: Mapping[str, tuple[Any, Any]]
    outcome: str = ""

    def masked(self, masking: Masking, secrets: Collection[str] = ()) -> PreviewedDifference:
        """Return it with stars in place of what masked fields hold."""
        shown = {
            name: (MASK, MASK)
            if masking.is_masked(name)
            else (masking.value(old, secrets), masking.value(new, secrets))
            for name, (old, new) in self.changes.items()
        }
        return evolve(self, changes=shown)


@frozen
class PreviewedError:
    """A bad row, and what is wrong about it."""

    row: int
    code: str
    message: str
    column: str | None = None

    def masked(self, masking: Masking, secrets: Collection[str] = ()) -> PreviewedError:
        """Return it without what masked fields hold: a message tends to quote the cell."""
        is_masked = self.column is not None and masking.is_masked(self.column)
        return evolve(self, message=MASK if is_masked else masking.text(self.message, secrets))


@frozen
class Preview:
    """What was found: under ``preview`` in the result of a batch job.

    Attributes:
        rows: how many there are.
        counts: how many by what would become of them.
        check_seconds: how long the look took.
        differences: the first rows that would change something.
        errors: how many bad rows by column and code; "": by no column.
        first_errors: the first bad rows.
        estimate: how long they will take, where earlier batch jobs tell.
    """

    rows: int
    counts: Mapping[str, int]
    check_seconds: float
    differences: tuple[PreviewedDifference, ...] = ()
    errors: Mapping[str, Mapping[str, int]] = Factory(dict)
    first_errors: tuple[PreviewedError, ...] = ()
    estimate: Estimate | None = None

    def masked(self, masking: Masking, secrets: Collection[str] = ()) -> Preview:
        """Return it without what masked fields hold, and these texts; columns and numbers are no secrets."""
        return evolve(
            self,
            differences=tuple(difference.masked(masking, secrets) for difference in self.differences),
            first_errors=tuple(error.masked(masking, secrets) for error in self.first_errors),
        )
