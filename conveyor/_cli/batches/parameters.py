"""What several commands of batch jobs take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

__all__ = ["STDIN", "BatchId", "BatchType", "By", "Force", "check_file", "check_new", "person"]

STDIN: Final = "-"

BatchId: TypeAlias = Annotated[str, Parameter(help="Id of the batch job, or how it begins.")]
BatchType: TypeAlias = Annotated[str, Parameter(help="Type of batch job, as `conveyor batch types` lists them.")]
By: TypeAlias = Annotated[
    str | None, Parameter(help="Who does it, kept with the batch job; by default your name on this machine.")
]
Force: TypeAlias = Annotated[
    bool, Parameter(name="--force", negative="", show_default=False, help="Also where another one is the same.")
]


def check_file(file: str) -> None:
    """Refuse a file that is not there, before anything is opened.

    Raises:
        CommandError: it is not there, or is a directory.
    """
    from conveyor._cli.failures import CommandError, ExitCode

    if file == STDIN:
        return
    if Path(file).is_dir():
        raise CommandError(ExitCode.USAGE, f"{file!r} is a directory, not a file")
    # It may be a pipe, such as the shell's <(...).
    if not Path(file).exists():
        raise CommandError(ExitCode.USAGE, f"there is no file {file!r}")


def check_new(file: Path | None) -> None:
    """Refuse a file that is there already, or could not be made, before anything is done; None is none.

    Raises:
        CommandError: so it is.
    """
    from conveyor._cli.failures import CommandError, ExitCode

    if file is None:
        return
    if file.exists():
        raise CommandError(ExitCode.REFUSED, f"there is a file {str(file)!r} already", "name another, or remove it")
    if not file.parent.is_dir():
        raise CommandError(ExitCode.USAGE, f"there is no directory {str(file.parent)!r} for {file.name!r}", "make it")


def person(given: str | None) -> str | None:
    """Return who does it: whoever is named, or else the user of this process; None where that has no name."""
    import getpass

    if given is not None:
        return given
    try:
        return getpass.getuser()
    # On a system without a table of users, or for a user who is not in it.
    except (ImportError, KeyError, OSError):
        return None
