"""Where a source is divided: into parts of about the same size, each begun where the one before ends."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.model.batches.marks import MARKS_PER_PART, RowMarks
from conveyor.model.batches.rows import SourceRow


def marks_of(parts: int, numbers: range) -> RowMarks:
    marks = RowMarks(parts)
    rows = [SourceRow[Any](number, {"row": number}, None) for number in numbers]
    for start in range(0, len(rows), 70):
        some = rows[start : start + 70]
        marks.add(len(some), some.__getitem__)
    return marks


@given(st.integers(2, 8), st.integers(0, 3000), st.integers(1, 50))
def test_parts_follow_each_other_and_are_of_about_the_same_size(parts: int, rows: int, least: int) -> None:
    spans = marks_of(parts, range(1, rows + 1)).spans(least=least)
    if rows // least < 2:
        assert spans == []
        return
    assert len(spans) == min(parts, rows // least)
    assert [span["until"]["row"] for span in spans] == [span["last"] for span in spans]
    assert [span["after"] for span in spans] == [None, *(span["until"] for span in spans[:-1])]
    ends = [0, *(span["last"] for span in spans)]
    sizes = [end - begin for begin, end in pairwise(ends)]
    assert sum(sizes) == rows
    assert min(sizes) >= 1
    assert max(sizes) - rows / len(spans) <= rows / (MARKS_PER_PART * parts) + 1


def test_rows_whose_numbers_leave_some_out_are_divided_by_how_many_there_are() -> None:
    spans = marks_of(2, range(10, 100, 10)).spans(least=1)
    assert [span["last"] for span in spans] in ([40, 90], [50, 90])


@pytest.mark.parametrize("rows", [10_000, 100_000])
def test_any_number_of_rows_takes_little_room(rows: int) -> None:
    marks = marks_of(4, range(1, rows + 1))
    assert len(marks._marks) <= 2 * MARKS_PER_PART * 4
