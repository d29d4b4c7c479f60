"""Changing many jobs at once: what became of each, and the report of it all."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field, frozen

from conveyor.model.states import Command, JobState, legal_states

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from conveyor.model.queries import JobFilter

__all__ = ["BulkReport", "BulkTally", "ChangeOutcome", "ChangeReceipt", "Skipped", "narrowed", "of_now"]

EXAMPLES: Final = 5

_INSTANT: Final = timedelta(microseconds=1)


class ChangeOutcome(StrEnum):
    """What became of one job that was to be changed."""

    DONE = "done"
    NOT_FOUND = "not_found"
    NO_MATCH = "no_match"
    REFUSED = "refused"


@frozen
class ChangeReceipt:
    """What became of one job: `state` is the one it is in now, None where it is gone."""

    job_id: str
    outcome: ChangeOutcome
    state: JobState | None = None


@frozen
class Skipped:
    """Jobs that were left alone for the same reason: how many, and the ids of a few.

    They were removed meanwhile (``not_found``), are no longer among those meant (``no_match``), or are in a state in
    which the command is not legal (``refused``); `state` is the one they were found in.
    """

    reason: ChangeOutcome
    state: JobState | None
    count: int
    examples: tuple[str, ...]


@frozen
class BulkReport:
    """What a bulk command did: of the jobs that `matched`, how many are `done`, and why others were skipped."""

    command: Command
    matched: int = 0
    done: int = 0
    skipped: tuple[Skipped, ...] = ()


@define
class BulkTally:
    """Counts receipts, and remembers only counts and a few ids of them."""

    command: Command
    _matched: int = field(default=0, init=False)
    _done: int = field(default=0, init=False)
    _skipped: dict[tuple[ChangeOutcome, JobState | None], Skipped] = field(factory=dict, init=False)

    def count(self, receipts: Iterable[ChangeReceipt]) -> None:
        """Take these into account."""
        for receipt in receipts:
            self._matched += 1
            if receipt.outcome is ChangeOutcome.DONE:
                self._done += 1
            else:
                self._skip(receipt)

    def _skip(self, receipt: ChangeReceipt) -> None:
        key = receipt.outcome, receipt.state
        known = self._skipped.get(key) or Skipped(receipt.outcome, receipt.state, 0, ())
        examples = known.examples if len(known.examples) == EXAMPLES else (*known.examples, receipt.job_id)
        self._skipped[key] = evolve(known, count=known.count + 1, examples=examples)

    def report(self) -> BulkReport:
        """Return what was counted so far."""
        return BulkReport(self.command, self._matched, self._done, tuple(self._skipped.values()))


def narrowed(wanted: JobFilter, command: Command) -> JobFilter:
    """Return the filter, which means only states in which the command is legal where it names none."""
    if wanted.states:
        return wanted
    legal = legal_states(command)
    return evolve(wanted, states=tuple(state for state in JobState if state in legal))


def of_now(wanted: JobFilter, now: datetime) -> JobFilter:
    """Return the filter without the jobs that are added later than now."""
    end = now + _INSTANT
    if wanted.created_to is not None and wanted.created_to <= end:
        return wanted
    return evolve(wanted, created_to=end)
