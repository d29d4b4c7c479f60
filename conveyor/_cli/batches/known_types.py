"""Which batch types an app has strategies for, and errors for those that it has none for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._cli.failures import CommandError, ExitCode
from conveyor.errors import did_you_mean

if TYPE_CHECKING:
    from conveyor._app import Conveyor
    from conveyor._handles.batch_job import BatchJob

__all__ = ["check_type", "check_works_on"]


def check_type(app: Conveyor, batch_type: str) -> None:
    """Make sure that the open app has a strategy of the type.

    Raises:
        CommandError: it has none; the message names the nearest.
    """
    known = app.batches.types()
    if batch_type in known:
        return
    if not known:
        what = f"no batch type {batch_type!r}: the app has no batch strategy"
        raise CommandError(ExitCode.NOT_FOUND, what, "name the app that has: --app MODULE:ATTR")
    what = f"no batch type {batch_type!r}: {did_you_mean(batch_type, known)}"
    raise CommandError(ExitCode.NOT_FOUND, what, "see which there are: conveyor batch types")


def check_works_on(app: Conveyor, batch: BatchJob) -> None:
    """Make sure that the app may add jobs for a batch job: its prefix and its codec say where, and how they are kept.

    Raises:
        CommandError: it has no strategy of the type.
    """
    if batch.batch_type not in app.batches.types():
        what = f"the app has no batch strategy of type {batch.batch_type!r}, so it cannot let {batch.id!r} go on"
        raise CommandError(ExitCode.REFUSED, what, "name the app that has: --app MODULE:ATTR")
