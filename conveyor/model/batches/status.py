"""The statuses of a batch job, and the one table of what each command does to them.

Its way::

    created ─▶ pre_processed ─▶ confirmed ─▶ processing ─▶ completed, completed_with_errors, failed
                                    ▲         │  ▲  │
                                    │         │  │  ├─▶ pausing ─▶ paused ─▶ confirmed
                                    └─ failed │  │  └─▶ cancelling ─▶ cancelled
                                              └─▶ interrupted

A run stops within a chunk of rows after it was asked to, and the status is one between meanwhile. Every change of
status is a compare-and-set in the store on the rows of `TRANSITIONS`.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from conveyor.errors import InvalidBatchStatusError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ASKED_COMMANDS",
    "ENDED_STATUSES",
    "STOPPING_STATUSES",
    "TRANSITIONS",
    "WORKED_STATUSES",
    "BatchCommand",
    "BatchStatus",
    "legal_commands",
    "next_status",
    "refuse",
]


class BatchStatus(StrEnum):
    """Where a batch job stands."""

    CREATED = "created"
    # Looked at, and maybe waiting for somebody to confirm it.
    PRE_PROCESSED = "pre_processed"
    # To be processed as soon as a worker has room.
    CONFIRMED = "confirmed"
    PROCESSING = "processing"
    PAUSING = "pausing"
    PAUSED = "paused"
    # Its worker stopped or failed; another run goes on where it was.
    INTERRUPTED = "interrupted"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"

    @property
    def is_ended(self) -> bool:
        """Whether nothing goes on by itself any more: it is completed, with errors or without, failed or cancelled."""
        return self in ENDED_STATUSES


class BatchCommand(StrEnum):
    """What can be asked of a batch job. The first group is asked by a run, the second by people."""

    PRE_PROCESS = "pre_process"
    START = "start"
    STOP = "stop"
    INTERRUPT = "interrupt"
    COMPLETE = "complete"
    COMPLETE_WITH_ERRORS = "complete_with_errors"
    FAIL = "fail"

    CONFIRM = "confirm"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    # As `retry`, of one that failed before it was confirmed.
    RESTART = "restart"


_S = BatchStatus
_C = BatchCommand

# A run that does not stop in time ends as it ends: what is done is done.
_ENDS: Final = {
    _C.COMPLETE: _S.COMPLETED,
    _C.COMPLETE_WITH_ERRORS: _S.COMPLETED_WITH_ERRORS,
}

TRANSITIONS: Final[Mapping[BatchStatus, Mapping[BatchCommand, BatchStatus]]] = MappingProxyType(
    {
        _S.CREATED: {_C.PRE_PROCESS: _S.PRE_PROCESSED, _C.CANCEL: _S.CANCELLED, _C.FAIL: _S.FAILED},
        _S.PRE_PROCESSED: {_C.CONFIRM: _S.CONFIRMED, _C.CANCEL: _S.CANCELLED, _C.FAIL: _S.FAILED},
        _S.CONFIRMED: {
            _C.START: _S.PROCESSING,
            _C.PAUSE: _S.PAUSED,
            _C.CANCEL: _S.CANCELLED,
            _C.FAIL: _S.FAILED,
        },
        _S.PROCESSING: {
            # By another run, after the one before died without a word.
            _C.START: _S.PROCESSING,
            _C.PAUSE: _S.PAUSING,
            _C.CANCEL: _S.CANCELLING,
            _C.INTERRUPT: _S.INTERRUPTED,
            _C.FAIL: _S.FAILED,
            **_ENDS,
        },
        _S.PAUSING: {
            _C.STOP: _S.PAUSED,
            _C.INTERRUPT: _S.PAUSED,
            _C.RESUME: _S.PROCESSING,
            _C.CANCEL: _S.CANCELLING,
            _C.FAIL: _S.FAILED,
            **_ENDS,
        },
        _S.PAUSED: {_C.RESUME: _S.CONFIRMED, _C.CANCEL: _S.CANCELLED},
        _S.INTERRUPTED: {
            _C.START: _S.PROCESSING,
            _C.PAUSE: _S.PAUSED,
            _C.CANCEL: _S.CANCELLED,
            _C.FAIL: _S.FAILED,
        },
        _S.CANCELLING: {_C.STOP: _S.CANCELLED, _C.INTERRUPT: _S.CANCELLED, _C.FAIL: _S.CANCELLED, **_ENDS},
        _S.CANCELLED: {},
        _S.FAILED: {_C.RETRY: _S.CONFIRMED, _C.RESTART: _S.CREATED},
        _S.COMPLETED: {},
        _S.COMPLETED_WITH_ERRORS: {},
    }
)

# What people ask; the others are between a run and its store.
ASKED_COMMANDS: Final = frozenset({_C.CONFIRM, _C.PAUSE, _C.RESUME, _C.CANCEL, _C.RETRY})
ENDED_STATUSES: Final = frozenset({_S.CANCELLED, _S.FAILED, _S.COMPLETED, _S.COMPLETED_WITH_ERRORS})
# A run that finds one of these stops.
STOPPING_STATUSES: Final = frozenset({_S.PAUSING, _S.CANCELLING})
# In these a job of the batch job's waits or runs; where there is none, it was lost and the batch job is stranded.
WORKED_STATUSES: Final = frozenset({_S.CREATED, _S.CONFIRMED, _S.PROCESSING, _S.PAUSING, _S.INTERRUPTED, _S.CANCELLING})


def legal_commands(status: BatchStatus) -> frozenset[BatchCommand]:
    """Return what may be asked in a status."""
    return frozenset(TRANSITIONS[status])


def refuse(batch_id: str, status: BatchStatus, command: BatchCommand | str) -> InvalidBatchStatusError:
    """Return the error for what is not legal, with what a person may ask instead."""
    allowed = [str(legal) for legal in legal_commands(status) & ASKED_COMMANDS]
    return InvalidBatchStatusError(batch_id, status, command, [*allowed, "remove"] if status.is_ended else allowed)


def next_status(batch_id: str, status: BatchStatus, command: BatchCommand) -> BatchStatus:
    """Return the status after a command.

    >>> next_status("import-1", BatchStatus.PROCESSING, BatchCommand.PAUSE)
    <BatchStatus.PAUSING: 'pausing'>

    Raises:
        InvalidBatchStatusError: the command is not legal in this status.
    """
    try:
        return TRANSITIONS[status][command]
    except KeyError:
        raise refuse(batch_id, status, command) from None
