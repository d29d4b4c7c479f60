"""What several commands of batch jobs take."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from cyclopts import Parameter

__all__ = ["BatchId", "BatchType", "By", "Force", "person"]

BatchId: TypeAlias = Annotated[str, Parameter(help="Id of the batch job, or how it begins.")]
BatchType: TypeAlias = Annotated[str, Parameter(help="Type of batch job, as `conveyor batch types` lists them.")]
By: TypeAlias = Annotated[
    str | None, Parameter(help="Who does it, kept with the batch job; by default your name on this machine.")
]
Force: TypeAlias = Annotated[
    bool, Parameter(name="--force", negative="", show_default=False, help="Also where another one is the same.")
]


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
