"""``python -m tests.end_to_end.killing URL BACKEND FOLDER ROWS MOMENT…``: run `lives`, killed at these moments.

They are counted from the beginning, over all lives. It prints what the last life says came of the batch jobs. Lives are
on asyncio and on trio by turns, the first on BACKEND.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from itertools import cycle, islice, pairwise
from typing import TYPE_CHECKING, Any, Final

from tests.house.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["live"]

BACKENDS: Final = ("asyncio", "trio")


def live(url: str, backend: str, folder: Path | str, rows: int, moments: Sequence[int] = ()) -> dict[str, Any]:
    """Run it, killed at each of the moments and started again; return what came of each batch job."""
    backends = islice(cycle(BACKENDS), BACKENDS.index(backend), None)
    for before, moment in pairwise((0, *moments)):
        assert _run(url, next(backends), folder, rows, moment - before).returncode == -signal.SIGKILL
    last = _run(url, next(backends), folder, rows, 0)
    last.check_returncode()
    outcome: dict[str, Any] = json.loads(last.stdout)
    return outcome


def _run(url: str, backend: str, folder: Path | str, rows: int, moment: int) -> subprocess.CompletedProcess[str]:
    arguments = (url, backend, str(folder), str(rows), str(moment))
    command = [sys.executable, "-m", "tests.end_to_end.lives", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)


if __name__ == "__main__":
    _url, _backend, _folder, _rows, *_moments = sys.argv[1:]
    sys.stdout.write(json.dumps(live(_url, _backend, _folder, int(_rows), [int(moment) for moment in _moments])))
