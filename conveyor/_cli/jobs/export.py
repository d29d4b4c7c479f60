"""``conveyor jobs export``: every job that matches, a page at a time, to stdout or a file."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

from conveyor._cli.asking import counted
from conveyor._cli.csv_cells import CsvWriter
from conveyor._cli.failures import CommandError, ExitCode
from conveyor._cli.jobs.filters import FilterOptions, parse_filter
from conveyor._cli.output import say
from conveyor._cli.parameters import ExportOptions, Unmasked, flattened
from conveyor._cli.progress import showing_progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from conveyor._app import Conveyor
    from conveyor._handles.job import Job
    from conveyor.model.queries import JobFilter

__all__ = ["export"]

_PAGE: Final = 500


_DEFAULTS: Final = ExportOptions()
_EVERYTHING: Final = FilterOptions()


def export(
    *,
    wanted: Annotated[FilterOptions, flattened] = _EVERYTHING,
    unmasked: Unmasked = False,
    options: Annotated[ExportOptions, flattened] = _DEFAULTS,
) -> int:
    """Write all jobs that match, newest first, for other programs; without an option, every job.

    It holds few jobs in memory at once, however many there are.
    """
    import anyio

    return anyio.run(partial(_export, parse_filter(wanted), options, unmasked=unmasked))


async def _export(wanted: JobFilter, options: ExportOptions, *, unmasked: bool) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.known_queues import check_queues
    from conveyor._cli.masks import mask_of
    from conveyor._cli.opening import looking_only

    written = 0
    async with looking_only(find_operated_app(options)) as app:
        mask = mask_of(app, unmasked=unmasked)
        total = await app.jobs.count(wanted)
        if not total:
            await check_queues(app, wanted.queue_names)
        with (
            _target(options.file) as file,
            _writer(file, options) as write,
            showing_progress("export", total) as tell,
        ):
            async for job in _jobs(app, wanted):
                write(mask.job(job))
                written += 1
                tell(written)
    say(f"exported {counted(written, 'job')}")
    return ExitCode.OK


async def _jobs(app: Conveyor, wanted: JobFilter) -> AsyncIterator[Job[Any]]:
    cursor: str | None = None
    while True:
        found = await app.jobs.find(wanted, cursor=cursor, limit=_PAGE)
        for job in found.jobs:
            yield job
        cursor = found.next_cursor
        if cursor is None:
            return


@contextmanager
def _target(path: Path | None) -> Iterator[IO[str]]:
    if path is None:
        yield sys.stdout
        return
    if path.exists():
        raise CommandError(ExitCode.REFUSED, f"there is a file {str(path)!r} already", "name another, or remove it")
    # Under another name until it is whole: half an export must not pass for one.
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        part.replace(path)
    except OSError as exc:
        raise CommandError(ExitCode.FAILED, f"{str(path)!r} cannot be written: {exc}") from exc
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _writer(file: IO[str], options: ExportOptions) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    if options.output == "csv":
        yield CsvWriter(file, is_raw=options.raw).write
    elif options.output == "jsonl":
        yield lambda job: print(json.dumps(job, ensure_ascii=False), file=file)
    else:
        lead = "[\n"

        def write(job: Mapping[str, Any]) -> None:
            nonlocal lead
            file.write(lead + json.dumps(job, ensure_ascii=False))
            lead = ",\n"

        yield write
        file.write("[]\n" if lead == "[\n" else "\n]\n")
