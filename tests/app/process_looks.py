"""Looking at the processes of handlers from outside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from tests.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["gone", "hanging", "is_alive"]


async def hanging(folder: Path) -> Sequence[int]:
    """Return the processes that a handler which hangs wrote down in this folder."""
    said = anyio.Path(folder) / "processes"
    await eventually(said.exists, seconds=30)
    return [int(number) for number in (await said.read_text()).split()]


def is_alive(process_id: int) -> bool:
    """Look whether a process runs; one that has ended, and that nobody asked for yet, does not."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def gone(*process_ids: int) -> None:
    """Return when these processes are no more."""

    async def are_gone() -> bool:
        return not any(map(is_alive, process_ids))

    await eventually(are_gone, seconds=30)
