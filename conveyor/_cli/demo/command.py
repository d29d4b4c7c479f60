"""`conveyor demo`: its parameters, its exit codes, and the temporary folder that everything lives in."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["demo"]

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130


def demo(
    *,
    files: Annotated[Path | None, Parameter(help="Take the .py files below this folder instead.")] = None,
    limit: Annotated[int | None, Parameter(help="Take only so many files.")] = None,
    concurrency: Annotated[int, Parameter(help="How many files each worker works on at once.")] = 2,
    kill: Annotated[bool, Parameter(help="Kill one worker halfway with SIGKILL.")] = True,
    keep: Annotated[bool, Parameter(help="Keep the working folder, and say where it is.")] = False,
    plain: Annotated[bool, Parameter(help="Print plain lines on a terminal, too.")] = False,
) -> int:
    """Watch two workers, kill one, and count that no job was lost.

    One worker process on asyncio and one on trio share a SQLite file and take one job for each .py file of this
    interpreter's standard library: they count its tokens, definitions and branches. Files that are no Python fail,
    are tried again, and end as failed with the reason. Halfway one worker is killed; its jobs recover. At the end a
    separate process counts ledger and database against each other.

    It needs no service, writes to a temporary folder only, and takes less than a minute. The exit code is 0 when
    the accounts agree, 1 when they do not, 2 for wrong arguments and 130 after Ctrl-C.
    """
    if (limit is not None and limit < 1) or concurrency < 1:
        return _complain("--limit and --concurrency must be at least 1")
    from conveyor._cli.demo.analysis import find_python_files, standard_library

    root = (standard_library() if files is None else files).absolute()
    if not root.is_dir():
        return _complain(f"there is no folder {root}")
    found = find_python_files(root)[:limit]
    if not found:
        return _complain(f"there is no .py file below {root}")
    path = Path(tempfile.mkdtemp(prefix="conveyor-demo-")).absolute()
    try:
        return _play(path, root, found, concurrency=concurrency, kill=kill, plain=plain)
    except KeyboardInterrupt:
        _talk("interrupted; the workers are stopped")
        return INTERRUPTED
    finally:
        if keep:
            _talk(f"kept: {path}")
        else:
            shutil.rmtree(path, ignore_errors=True)


def _play(path: Path, root: Path, found: Sequence[Path], *, concurrency: int, kill: bool, plain: bool) -> int:
    from functools import partial

    import anyio
    from rich.console import Console

    from conveyor import ConveyorError
    from conveyor._cli.demo.crew import CrewError
    from conveyor._cli.demo.folder import Folder
    from conveyor._cli.demo.report import print_report
    from conveyor._cli.demo.screen import open_screen
    from conveyor._cli.demo.story import StandstillError, Story

    try:
        with open_screen(Console(stderr=True), plain=plain) as screen:
            story = Story(Folder(path), root, found, screen)
            ending = anyio.run(partial(story.tell, concurrency=concurrency, kill=kill))
    except (ConveyorError, CrewError, StandstillError) as exc:
        _talk(f"the demo failed: {exc}")
        return FAILED
    print_report(Console(), ending, root)
    return OK if ending.proof["agree"] else FAILED


def _complain(message: str) -> int:
    _talk(f"conveyor demo: {message}")
    return USAGE


def _talk(message: str) -> None:
    sys.stderr.write(message + "\n")
