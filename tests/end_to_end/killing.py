"""``python -m tests.end_to_end.killing URL BACKEND FOLDER ROWS POINT…``: run `lives`, killed behind so many lines.

Each point is counted from the beginning, over all lives. It prints how many lines the last life printed, and what came
of the batch jobs. The processes that it starts take turns on asyncio and trio, beginning with BACKEND.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import cycle, islice, pairwise
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict, frozen

from tests.house.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Life", "live"]

BACKENDS: Final = ("asyncio", "trio")


@frozen
class Life:
    """The last of a program's lives.

    Attributes:
        lines: how many it printed.
        outcome: what came of each batch job.
    """

    lines: int
    outcome: dict[str, Any]


def live(url: str, backend: str, folder: Path | str, rows: int, points: Sequence[int] = ()) -> Life:
    """Run it, killed at each of the points and started again."""
    backends = islice(cycle(BACKENDS), BACKENDS.index(backend), None)
    for before, point in pairwise((0, *points)):
        with _start(url, next(backends), folder, rows) as program:
            assert program.stdout is not None
            assert len([*islice(program.stdout, point - before)]) == point - before
            program.kill()
    with _start(url, next(backends), folder, rows) as program:
        assert program.stdout is not None
        *lines, last = program.stdout
    assert program.returncode == 0
    return Life(len(lines), json.loads(last))


def _start(url: str, backend: str, folder: Path | str, rows: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.end_to_end.lives", url, backend, str(folder), str(rows)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


if __name__ == "__main__":
    _url, _backend, _folder, _rows, *_points = sys.argv[1:]
    life = live(_url, _backend, _folder, int(_rows), [int(point) for point in _points])
    sys.stdout.write(f"{json.dumps(asdict(life))}\n")
