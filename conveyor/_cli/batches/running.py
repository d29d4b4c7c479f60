"""``conveyor batch run``: a file becomes a batch job that is processed here, while somebody looks on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from attrs import frozen
from cyclopts import Parameter, validators

from conveyor._cli.batches.creating import ContextOptions, DryRun
from conveyor._cli.batches.parameters import BatchType, By, Force, check_file, check_new
from conveyor._cli.parameters import StoreOptions, Unmasked, Yes, flattened

if TYPE_CHECKING:
    from conveyor.model.batches.options import BatchKeywords

__all__ = ["RunOptions", "run"]

_DEFAULTS: Final = StoreOptions()
_NOTHING: Final = ContextOptions()


@frozen(kw_only=True)
class RunOptions:
    """How far a file may go without a question."""

    yes: Yes = False
    dry_run: DryRun = False
    max_errors: Annotated[
        int | None,
        Parameter(
            help="Write nothing where more rows than this are bad when they are checked; it exits with 5 then.",
            validator=validators.Number(gte=0),
        ),
    ] = None
    errors_file: Annotated[
        Path | None,
        Parameter(
            help="Write the bad rows here, and why, ready to be mended; it must not exist. By default a file beside "
            "you that is called as FILE, and .errors."
        ),
    ] = None
    sheet: Annotated[str | None, Parameter(help="Which sheet of a spreadsheet; by default the first.")] = None
    name: Annotated[
        str | None,
        Parameter(help="What it is called: .jsonl tells lines of JSON, .xlsx a spreadsheet; by default as the file."),
    ] = None

    def check_somebody_agrees(self) -> None:
        """Refuse what nobody can be asked about, before anything is done.

        Raises:
            CommandError: nobody is at the terminal.
        """
        from conveyor._cli.failures import CommandError, ExitCode

        if not self.yes and not self.dry_run and not sys.stdin.isatty():
            raise CommandError(
                ExitCode.USAGE, "nobody is at the terminal to agree", "if it is meant, add --yes; to try it, --dry-run"
            )

    def is_too_bad(self, bad_rows: int) -> bool:
        """Return whether so many bad rows are more than there may be."""
        return self.max_errors is not None and bad_rows > self.max_errors

    def too_bad(self, bad_rows: int) -> str:
        """Return that in words."""
        from conveyor._cli.asking import counted

        return f"{counted(bad_rows, 'bad row')}, which is more than {self.max_errors}"


_RUN_DEFAULTS: Final = RunOptions()


def run(
    batch_type: BatchType,
    file: Annotated[str, Parameter(help="The file with the rows; - for standard input.", allow_leading_hyphen=True)],
    /,
    *,
    wanted: Annotated[ContextOptions, flattened] = _NOTHING,
    how: Annotated[RunOptions, flattened] = _RUN_DEFAULTS,
    by: By = None,
    force: Force = False,
    unmasked: Unmasked = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Check a file of rows, show what would be done, ask, and process it here, with a bar.

    The key of the stored file goes into the context as `file`. It exits with 1 if the batch job failed or was
    cancelled, with 5 if it was refused.
    """
    from conveyor._cli.batches.creating import check_names_no_file, parse_context
    from conveyor._cli.batches.parameters import person
    from conveyor._cli.batches.runs import FileRun
    from conveyor._cli.batches.watching import end_of, shown
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.failures import ExitCode
    from conveyor._cli.output import say, show_record

    check_file(file)
    check_new(how.errors_file)
    context = parse_context(wanted.context, wanted.set or ())
    check_names_no_file(context)
    keywords: BatchKeywords = {
        "dry_run": how.dry_run,
        "created_by": person(by),
        "confirmation": "manual",
        "force": force,
    }
    app = find_operated_app(options)
    file_run = FileRun(app, batch_type, file, context, keywords, how, None if unmasked else app.masking)
    record = file_run.run()
    show_record(shown(record, options.output), options.output)
    if file_run.unwritten is not None:
        raise file_run.unwritten
    if how.dry_run and how.is_too_bad(file_run.bad_rows):
        say(how.too_bad(file_run.bad_rows))
        return ExitCode.REFUSED
    return end_of(record)
