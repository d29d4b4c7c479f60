"""Remote runs: what a worker and the process of a handler tell each other about one run."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import assert_never

from attrs import frozen

from conveyor.errors import ProcessHandlerError
from conveyor.model.flows import Child
from conveyor.model.job import ErrorInfo, JobData, Progress, error_info
from conveyor.model.outcomes import Cancel, Completed, Failed, Outcome, Retry, Snooze, WaitForChildren
from conveyor.model.text import clean_text

__all__ = ["ChildrenAnswer", "ProcessSetup", "RunEnd", "RunEndKind", "RunOrder", "RunReport", "end_of", "outcome_of"]


@frozen
class ProcessSetup:
    """The first that a handler's process is told: what it needs to import handlers as its worker did.

    Attributes:
        paths: where modules are looked for.
        main_module: the name of the program's main module, where it was run by its name (``python -m``).
        main_path: its file, where it was run by that.
        arguments: those of the program, which its modules may read while they are imported.
    """

    paths: tuple[str, ...]
    main_module: str | None = None
    main_path: str | None = None
    arguments: tuple[str, ...] = ()


@frozen
class RunOrder:
    """One run to be made: where the handler is imported from, and the job, whose payload is JSON as ever."""

    module: str
    qualname: str
    job: JobData


class RunEndKind(StrEnum):
    """The kinds of ends, one for each outcome."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETRY = "retry"
    SNOOZE = "snooze"
    CANCEL = "cancel"
    WAIT_FOR_CHILDREN = "wait_for_children"


@frozen
class RunEnd:
    """An outcome as values that have a JSON form; which of them say something depends on the kind."""

    kind: RunEndKind
    result: bytes | None = None
    error: ErrorInfo | None = None
    is_retried: bool = True
    delay: timedelta | None = None
    reason: str = ""


@frozen
class RunReport:
    """What a run tells its worker while it goes on, and at last its end. One without any of it: it has begun.

    With `asks_children` it waits for a `ChildrenAnswer`.
    """

    log: str | None = None
    progress: Progress | None = None
    asks_children: bool = False
    end: RunEnd | None = None


@frozen
class ChildrenAnswer:
    """What a worker knows of the children of a job that runs in a process, in the order in which they were added."""

    children: tuple[Child, ...]


def end_of(outcome: Outcome, result: bytes | None = None) -> RunEnd:
    """Return an outcome as what can be told; `result` is the encoded value of `Completed`."""
    match outcome:
        case Completed():
            return RunEnd(RunEndKind.COMPLETED, result=result)
        case Failed(error=error, retry=retry):
            return RunEnd(RunEndKind.FAILED, error=error_info(error), is_retried=retry)
        case Retry(after=after, reason=reason):
            return RunEnd(RunEndKind.RETRY, delay=after, reason=clean_text(reason))
        case Snooze(delay=delay):
            return RunEnd(RunEndKind.SNOOZE, delay=delay)
        case Cancel(reason=reason):
            return RunEnd(RunEndKind.CANCEL, reason=clean_text(reason))
        case WaitForChildren():
            return RunEnd(RunEndKind.WAIT_FOR_CHILDREN)
        case _:
            assert_never(outcome)


def outcome_of(end: RunEnd, value: object, job: JobData) -> Outcome:
    """Return the outcome that was told; `value` is the decoded result of one that completed."""
    match end.kind:
        case RunEndKind.COMPLETED:
            return Completed(value)
        case RunEndKind.FAILED:
            error = end.error or ErrorInfo("Exception", "")
            raised = ProcessHandlerError(
                error.type, error.message, error.traceback, job_id=job.id, queue_name=job.queue_name
            )
            return Failed(raised, retry=end.is_retried)
        case RunEndKind.RETRY:
            return Retry(end.delay, end.reason)
        case RunEndKind.SNOOZE:
            return Snooze(end.delay or timedelta(0))
        case RunEndKind.CANCEL:
            return Cancel(end.reason)
        case RunEndKind.WAIT_FOR_CHILDREN:
            return WaitForChildren()
        case _:
            assert_never(end.kind)
