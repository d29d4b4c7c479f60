"""The order of what a fetch brings, for stores whose one statement answers several wants."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conveyor.model.queries import Want

__all__ = ["FetchColumns", "FetchedRow", "ordered_as_wanted"]


class FetchedRow(Protocol):
    """A row of whatever driver: its columns by number, the job's id or another key of its own first."""

    def __getitem__(self, index: int, /) -> Any:
        """Return a column."""
        ...


RowT = TypeVar("RowT", bound=FetchedRow)


class FetchColumns(NamedTuple):
    """Where a row has what its place in the answer of a fetch depends on."""

    queue: int
    name: int
    priority: int
    stalled_count: int
    order_at: int
    order_seq: int

    @property
    def in_order(self) -> Callable[[FetchedRow], Any]:
        """What a queue's own order sorts rows by: priority, time, sequence."""
        return itemgetter(self.priority, self.order_at, self.order_seq)

    def in_lifo_order(self, row: FetchedRow) -> tuple[int, bool, int, int]:
        """What the order of a want with ``lifo`` sorts rows by: those with the option stand as they are, first."""
        priority, order_at, order_seq = row[self.priority], row[self.order_at], row[self.order_seq]
        # A job with the option has a time below zero, the newest the least.
        is_plain = order_at >= 0
        return (priority, True, -order_at, -order_seq) if is_plain else (priority, False, order_at, order_seq)

    def is_meant(self, row: FetchedRow, want: Want) -> bool:
        """Whether a want is for such a job."""
        is_named = want.queue_name == row[self.queue] and want.job_name in {None, row[self.name]}
        return is_named and want.is_suspect == (row[self.stalled_count] > 0)


def ordered_as_wanted(rows: list[RowT], wants: Sequence[Want], columns: FetchColumns) -> list[RowT]:
    """Return the rows want by want: each got the first in its order of those that the wants before it left.

    Rows that no want is for come last: a fetch that is repeated may want less than the first time, and gets the same.
    """
    in_order = columns.in_order
    if len(wants) == 1 and not wants[0].lifo:
        rows.sort(key=in_order)
        return rows
    answer: list[RowT] = []
    rest = rows
    for want in wants:
        meant = [row for row in rest if columns.is_meant(row, want)]
        meant.sort(key=columns.in_lifo_order if want.lifo else in_order)
        got = meant[: max(want.limit, 0)]
        answer += got
        keys = {row[0] for row in got}
        rest = [row for row in rest if row[0] not in keys]
    return [*answer, *sorted(rest, key=in_order)]
