"""``conveyor batch template``: a file that shows what may be uploaded, as CSV or as a spreadsheet."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from cyclopts import Parameter

from conveyor._cli.batches.parameters import BatchType
from conveyor._cli.parameters import WhereOptions, flattened

if TYPE_CHECKING:
    from conveyor._app import Conveyor
    from conveyor.contracts.row_batches import RowBatchStrategy

__all__ = ["template"]

_Format: TypeAlias = Literal["csv", "xlsx"]

_WHERE: Final = WhereOptions()


def template(
    batch_type: BatchType,
    /,
    *,
    format: Annotated[  # noqa: A002 - the name of the option
        _Format | None,
        Parameter(
            help="A spreadsheet, or as the strategy makes it, most often CSV; by default as the file's name ends."
        ),
    ] = None,
    file: Annotated[Path | None, Parameter(help="Write it here instead of printing it; it must not exist.")] = None,
    options: Annotated[WhereOptions, flattened] = _WHERE,
) -> int:
    """Print a file that shows what may be uploaded for batch jobs of a type.

    It exits with 3 where the type has none.
    """
    import anyio

    is_workbook = format == "xlsx" or (format is None and file is not None and file.suffix.lower() == ".xlsx")
    return anyio.run(_template, batch_type, is_workbook, file, options)


async def _template(batch_type: str, is_workbook: bool, file: Path | None, options: WhereOptions) -> int:
    from conveyor._cli.batches.known_types import check_type
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.failures import CommandError, ExitCode
    from conveyor._cli.opening import without_store

    if is_workbook and file is None and sys.stdout.isatty():
        raise CommandError(ExitCode.USAGE, "a spreadsheet is nothing for a terminal", "name a file: --file rows.xlsx")
    async with without_store(find_operated_app(options)) as app:
        check_type(app, batch_type)
        content = _workbook(app, batch_type) if is_workbook else (await app.batches.template(batch_type)).encode()
    if not content:
        raise CommandError(ExitCode.NOT_FOUND, f"batch jobs of type {batch_type!r} have no template")
    if file is None:
        # A file, not talk: it is printed as it is.
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    else:
        _write(content, file)
    return 0


def _workbook(app: Conveyor, batch_type: str) -> bytes:
    """Return the template as a spreadsheet, which `conveyor batch run` takes back.

    Raises:
        CommandError: its strategy reads no tables, or makes its template by itself.
        ConfigurationError: openpyxl is not installed.
    """
    from conveyor._cli.failures import CommandError, ExitCode
    from conveyor._cli.opening import services_of
    from conveyor.codec.tables import RowLayout, make_workbook_template
    from conveyor.contracts.row_batches import RowBatchStrategy

    strategy = services_of(app).batches.get(batch_type).given
    if not isinstance(strategy, RowBatchStrategy) or not _is_made_by_conveyor(strategy):
        why = f"the strategy of {batch_type!r} makes its template by itself, so there is no spreadsheet of it"
        raise CommandError(ExitCode.USAGE, why, "leave --format out, and it is printed as its strategy makes it")
    return make_workbook_template(RowLayout(strategy.row))


def _is_made_by_conveyor(strategy: RowBatchStrategy[Any, Any]) -> bool:
    from conveyor._runtime.batches.rows.sources import has_files
    from conveyor.contracts.row_batches import RowBatchStrategy

    return has_files(strategy) and type(strategy).build_template is RowBatchStrategy.build_template


def _write(content: bytes, file: Path) -> None:
    from conveyor._cli.failures import CommandError, ExitCode

    try:
        with file.open("xb") as target:
            target.write(content)
    except FileExistsError as exc:
        raise CommandError(ExitCode.REFUSED, f"there is a file {str(file)!r} already", "name another") from exc
    except OSError as exc:
        raise CommandError(ExitCode.FAILED, f"{str(file)!r} cannot be written: {exc}") from exc
