"""Errors as people read them: one line what, one line what to do, and an exit code."""

from __future__ import annotations

import sys
import traceback
from enum import IntEnum
from typing import Final

from attrs import frozen

from conveyor.errors import (
    BatchJobError,
    BatchJobNotFoundError,
    CapabilityError,
    ConfigurationError,
    ConveyorError,
    ConveyorInternalError,
    DuplicateBatchJobError,
    DuplicateJobError,
    InvalidBatchStatusError,
    InvalidJobStateError,
    JobInBufferError,
    JobNotFoundError,
    ScheduleNotFoundError,
    SchemaError,
    StoreError,
    StoreUnavailableError,
)
from conveyor.model.masking import Masking, parse_masking

__all__ = ["CommandError", "ExitCode", "Failure", "explain", "report"]


class ExitCode(IntEnum):
    """What the process tells its caller."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    STORE_UNREACHABLE = 4
    REFUSED = 5
    SCHEMA = 6
    INTERRUPTED = 130


@frozen
class Failure:
    """An error in two lines, and its exit code."""

    code: ExitCode
    what: str
    advice: str = ""


class CommandError(ConveyorError):
    """A command could not do what was asked, and knows what to say about it."""

    def __init__(self, code: ExitCode, what: str, advice: str = "") -> None:
        self.code = code
        self.advice = advice
        super().__init__(what)


# The first that fits; most messages of conveyor say by themselves what to do.
_KNOWN: Final[tuple[tuple[type[Exception], ExitCode, str], ...]] = (
    (ConfigurationError, ExitCode.USAGE, ""),
    (JobInBufferError, ExitCode.REFUSED, ""),
    (JobNotFoundError, ExitCode.NOT_FOUND, "see which there are: conveyor jobs list"),
    (ScheduleNotFoundError, ExitCode.NOT_FOUND, "see which there are: conveyor schedules list"),
    (InvalidJobStateError, ExitCode.REFUSED, "look at it: conveyor jobs show {error.job_id}"),
    (DuplicateJobError, ExitCode.REFUSED, ""),
    (BatchJobNotFoundError, ExitCode.NOT_FOUND, "see which there are: conveyor batch list"),
    (InvalidBatchStatusError, ExitCode.REFUSED, "look at it: conveyor batch show {error.batch_id}"),
    (
        DuplicateBatchJobError,
        ExitCode.REFUSED,
        "look at it: conveyor batch show {error.batch_id}; if another is meant, add --force",
    ),
    (BatchJobError, ExitCode.REFUSED, ""),
    (SchemaError, ExitCode.SCHEMA, "what that would change: conveyor store check"),
    (
        StoreUnavailableError,
        ExitCode.STORE_UNREACHABLE,
        "check that the store runs and its URL is right; try again",
    ),
    (StoreError, ExitCode.STORE_UNREACHABLE, "check the store's URL: --store, CONVEYOR_STORE, or what the app says"),
    (ConveyorInternalError, ExitCode.FAILED, "this is a bug in conveyor: please report it with the traceback (-v)"),
    (ConveyorError, ExitCode.FAILED, ""),
)


def explain(error: BaseException) -> Failure:
    """Return what to tell about an error."""
    error = _leading(error)
    if isinstance(error, CommandError):
        return Failure(error.code, str(error), error.advice)
    if isinstance(error, KeyboardInterrupt):
        return Failure(ExitCode.INTERRUPTED, "interrupted")
    if isinstance(error, CapabilityError) and error.advice:
        return Failure(ExitCode.USAGE, str(error).removesuffix(f"; {error.advice}"), error.advice)
    for kind, code, advice in _KNOWN:
        if isinstance(error, kind):
            return Failure(code, str(error), advice.format(error=error))
    name = type(error).__name__
    return Failure(ExitCode.FAILED, f"{name}: {error}" if str(error) else name, "see where: the same with --verbose")


def report(error: BaseException, *, with_traceback: bool) -> ExitCode:
    """Print an error on stderr and return its exit code."""
    failure = explain(error)
    masking = _masking()
    if with_traceback:
        sys.stderr.write(masking.text("".join(traceback.format_exception(error))))
    if failure.code is ExitCode.INTERRUPTED:
        return failure.code
    what = masking.text(" ".join(failure.what.split()))
    print(f"error: {what}", file=sys.stderr)  # noqa: T201 - the command line speaks
    if failure.advice:
        print(f"hint: {failure.advice}", file=sys.stderr)  # noqa: T201
    return failure.code


def _masking() -> Masking:
    from conveyor._services.settings import find_masked_fields

    try:
        given = find_masked_fields()
        return parse_masking(*([] if given is None else [given]))
    except ConfigurationError:
        # This error may be the one to tell of.
        return Masking()


def _leading(error: BaseException) -> BaseException:
    """Return the one error of a group to speak of: the first of ours, else the first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_leading(inner) for inner in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, (ConveyorError, KeyboardInterrupt))), leaves[0])
