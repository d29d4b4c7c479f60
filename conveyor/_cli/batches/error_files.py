"""The bad rows of a batch job, written into a file of whoever asks, and never over another."""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from itertools import count
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

import anyio

from conveyor._cli.asking import counted
from conveyor._cli.batches.previews import bad_rows_kept
from conveyor._cli.failures import CommandError, ExitCode
from conveyor._cli.output import say
from conveyor.codec.tables.forms import OF_WORKBOOK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conveyor._app import Conveyor
    from conveyor._handles.batch_job import BatchJob

__all__ = ["write_error_file"]

WORKBOOK: Final = ".xlsx"


async def write_error_file(app: Conveyor, batch: BatchJob, wanted: Path | None = None) -> None:
    """Write the bad rows of a batch job as they stood in its file, with what is wrong about them, and say where.

    Args:
        app: it is open.
        batch: it has bad rows.
        wanted: where; None: into the working directory, under a name that nothing there has.

    Raises:
        CommandError: there is a file already, or it cannot be written.
        BatchJobError: its rows stand in no file.
    """
    path = None
    try:
        path = _reserve([wanted] if wanted is not None else _free_names(await _name_of(app, batch)))
        await _write(app, batch, path)
    except FileExistsError as exc:
        raise CommandError(ExitCode.REFUSED, f"there is a file {exc.filename!r} already", "name another") from exc
    except OSError as exc:
        where = "the error file" if path is None else repr(str(path))
        raise CommandError(ExitCode.FAILED, f"{where} cannot be written: {exc}") from exc
    rows = counted(await bad_rows_kept(batch), "bad row")
    is_written = batch.data.run is not None and not batch.dry_run
    mend = "mend them, and run that file" if is_written else "nothing was written, so mend them in the file itself"
    say(f"{rows} in {path}; {mend}")


async def _name_of(app: Conveyor, batch: BatchJob) -> PurePath:
    stored = await app.files.find(str(batch.context.get("file")))
    if stored is None:
        return PurePath("rows.csv")
    name = PurePath(stored.name)
    return name.with_suffix(WORKBOOK) if stored.media_type == OF_WORKBOOK else name


def _free_names(name: PurePath) -> Iterator[Path]:
    yield Path(f"{name.stem}.errors{name.suffix}")
    for number in count(2):
        yield Path(f"{name.stem}.errors-{number}{name.suffix}")


def _reserve(paths: Iterable[Path]) -> Path:
    """Make an empty file at the first path where there is none, so that nobody's is overwritten; return that.

    Raises:
        FileExistsError: there is one at each.
    """
    taken = FileExistsError()
    for path in paths:
        try:
            path.open("xb").close()
        except FileExistsError as exc:
            taken = exc
        else:
            return path
    raise taken


async def _write(app: Conveyor, batch: BatchJob, path: Path) -> None:
    """Write the bad rows where an empty file is, which they replace once they are whole; its name says in what form."""
    error_file = app.batches.error_file(batch.id, as_workbook=path.suffix.lower() == WORKBOOK)
    part = path.with_name(f"{path.name}.part")
    with _whole_or_gone(part, path):
        async with await anyio.open_file(part, "wb") as target, aclosing(error_file) as blocks:
            async for block in blocks:
                await target.write(block)


@contextmanager
def _whole_or_gone(part: Path, path: Path) -> Iterator[None]:
    """Let the part take the place of the file at the end; where that is not reached, neither stays."""
    try:
        yield
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise
