"""Chunks find their size, and the rows that make one fail are found."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.model.batches.chunks import Pieces, next_chunk_size


@given(st.integers(1, 1000), st.floats(0, 1e6), st.integers(1, 1000), st.integers(1, 1000), st.floats(0.001, 100))
def test_a_size_at_most_doubles_and_stays_within_bounds(
    handled: int, seconds: float, size: int, most: int, wanted: float
) -> None:
    found = next_chunk_size(handled, seconds, size=size, most=most, wanted_seconds=wanted)
    assert 1 <= found <= most
    assert found <= 2 * size
    assert found >= min(most, size // 2)


@pytest.mark.parametrize("per_row", [0.0001, 0.004, 0.3, 5.0])
def test_the_size_comes_to_what_the_time_allows(per_row: float) -> None:
    size = 16
    for _ in range(20):
        size = next_chunk_size(size, size * per_row, size=size, most=500, wanted_seconds=1.0)
    assert size == max(1, min(500, int(1.0 / per_row)))


@given(st.integers(1, 200), st.sets(st.integers(0, 199)), st.booleans())
def test_bad_rows_are_found_in_order_and_each_good_one_succeeds_once(
    count: int, bad: set[int], knows_which: bool
) -> None:
    bad = {index for index in bad if index < count}
    pieces, done, found, tries = Pieces(count), [], [], 0
    while (piece := pieces.take()) is not None:
        tries += 1
        first = next((index for index in piece if index in bad), None)
        if first is None:
            done += list(piece)
        elif len(piece) == 1:
            found.append(first)
        else:
            pieces.divide(piece, first if knows_which else None)
    assert found == sorted(bad)
    assert done == [index for index in range(count) if index not in bad]
    if not knows_which:
        assert tries <= 2 * len(bad) * math.ceil(math.log2(count) if count > 1 else 0) + 1 + len(bad)
    else:
        assert tries <= 3 * len(bad) + 1


def test_what_is_cut_is_tried_no_more() -> None:
    pieces = Pieces(10)
    first = pieces.take()
    assert first == range(10)
    pieces.divide(first, 4)
    pieces.cut(6)
    assert [pieces.take(), pieces.take(), pieces.take(), pieces.take()] == [range(4), range(4, 5), range(5, 6), None]


def test_no_rows_are_no_piece() -> None:
    assert Pieces(0).take() is None
