"""Tables fit the terminal: what is empty gives way, texts are folded, and no figure is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from conveyor._cli.tables import make_table

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLES = ("queue", "waiting", "waiting_children", "delayed", "active", "completed", "failed", "oldest", "paused")
ROWS = [("reports:nightly", 12, 0, 4, 1, 1_203_440, 17, "3m", ""), ("emails", 0, 0, 0, 0, 3, 0, "-", "")]


def drawn(width: int, rows: Sequence[Sequence[object]], titles: Sequence[str] = TITLES) -> list[str]:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(make_table(titles, rows, width))
    return captured.get().splitlines()


def test_where_there_is_room_all_columns_are_there() -> None:
    head, first, _ = drawn(120, ROWS)
    assert head.split() == list(TITLES)
    assert first.split() == ["reports:nightly", "12", "0", "4", "1", "1203440", "17", "3m"]


def test_columns_with_nothing_in_them_give_way_first() -> None:
    head, *_ = drawn(80, ROWS)
    assert head.split() == [title for title in TITLES if title not in {"waiting_children", "paused"}]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_nothing_is_cut(width: int) -> None:
    full = ("reports:nightly", 12, 3, 4, 1, 1_203_440, 17, "3m", "yes")
    lines = drawn(width, [full])
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "…" in line]
    letters = sorted("".join((*TITLES, *map(str, full))))
    assert sorted("".join(lines).replace(" ", "")) == letters


def test_figures_stay_whole_where_texts_are_folded() -> None:
    lines = drawn(64, [("reports:nightly", 12, 3, 4, 1, 1_203_440, 17, "3m", "yes")])
    assert [line for line in lines if "1203440" in line]
    assert not [line for line in lines if "reports:nightly" in line]


def test_a_table_without_rows_shows_its_first_title() -> None:
    assert drawn(20, [])[0].strip() == "queue"


def test_an_id_can_be_copied() -> None:
    job_id = "01a20167-9edc-7000-8000-000000000001"
    lines = drawn(
        80, [(job_id, "confirmations", "send_confirmation", "it was refused")], ("id", "queue", "name", "why")
    )
    assert lines[1].split()[0] == job_id
