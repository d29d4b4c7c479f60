"""The seven states of a job and the one table of what each command does to them.

Everything that moves a job from state to state is a row of `TRANSITIONS`; the conformance kit
is generated from it, so a store that disagrees with a cell fails by the name of that cell.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from conveyor.errors import ConfigurationError, InvalidJobStateError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "EDITS",
    "LIVE_STATES",
    "OPERATOR_COMMANDS",
    "SETTLED_STATES",
    "TRANSITIONS",
    "Command",
    "JobState",
    "check_operated",
    "legal_commands",
    "legal_states",
    "parse_state",
    "refuse",
    "transition",
]


class JobState(StrEnum):
    """Where a job stands. Stalled is not a state: it is an active job seen with an expired lock."""

    WAITING = "waiting"
    WAITING_CHILDREN = "waiting_children"
    DELAYED = "delayed"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_settled(self) -> bool:
        """Whether the job is done: completed, failed or cancelled."""
        return self in SETTLED_STATES


class Command(StrEnum):
    """What can be asked of a job. The first group is asked by a run, the others by core or an operator."""

    COMPLETE = "complete"
    FAIL = "fail"
    RETRY = "retry"
    DELAY = "delay"
    STOP = "stop"
    WAIT_FOR_CHILDREN = "wait_for_children"
    RELEASE = "release"
    EXTEND = "extend"
    REPORT = "report"

    FETCH = "fetch"
    PROMOTE = "promote"
    RECLAIM = "reclaim"
    GIVE_UP = "give_up"
    EXPIRE = "expire"
    CHILDREN_DONE = "children_done"
    CHILD_FAILED = "child_failed"
    ADD_CHILDREN = "add_children"

    CANCEL = "cancel"
    RERUN = "rerun"
    REMOVE = "remove"
    UPDATE_DATA = "update_data"
    CHANGE_DELAY = "change_delay"
    CHANGE_PRIORITY = "change_priority"
    MOVE_TO_DELAYED = "move_to_delayed"
    MOVE_TO_FAILED = "move_to_failed"
    DISCARD = "discard"


_W, _C, _D, _A = JobState.WAITING, JobState.WAITING_CHILDREN, JobState.DELAYED, JobState.ACTIVE

# None as a target: the job is gone.
TRANSITIONS: Final[Mapping[tuple[JobState, Command], JobState | None]] = MappingProxyType(
    {
        (_W, Command.FETCH): _A,
        (_W, Command.EXPIRE): JobState.CANCELLED,
        (_W, Command.CANCEL): JobState.CANCELLED,
        (_W, Command.REMOVE): None,
        # Its last child ended; it is delayed instead where it has a delay. Or one failed, and the parent with it.
        (_C, Command.CHILDREN_DONE): _W,
        (_C, Command.CHILD_FAILED): JobState.FAILED,
        (_C, Command.ADD_CHILDREN): _C,
        (_C, Command.EXPIRE): JobState.CANCELLED,
        (_C, Command.CANCEL): JobState.CANCELLED,
        (_C, Command.REMOVE): None,
        (_D, Command.PROMOTE): _W,
        (_D, Command.EXPIRE): JobState.CANCELLED,
        (_D, Command.CANCEL): JobState.CANCELLED,
        (_D, Command.REMOVE): None,
        # A run ends: completed, failed for good, again at once, again later, or stopped by its handler.
        (_A, Command.COMPLETE): JobState.COMPLETED,
        (_A, Command.FAIL): JobState.FAILED,
        (_A, Command.RETRY): _W,
        (_A, Command.DELAY): _D,
        (_A, Command.STOP): JobState.CANCELLED,
        (_A, Command.WAIT_FOR_CHILDREN): _C,
        (_A, Command.RELEASE): _W,
        (_A, Command.EXTEND): _A,
        (_A, Command.REPORT): _A,
        (_A, Command.ADD_CHILDREN): _A,
        # The worker is gone: one stall more, or one too many.
        (_A, Command.RECLAIM): _W,
        (_A, Command.GIVE_UP): JobState.FAILED,
        # An operator's cancel takes the lock away; the run that held it is told and can write nothing more.
        (_A, Command.CANCEL): JobState.CANCELLED,
        # A rerun job that has children which have not ended waits for them first.
        (JobState.COMPLETED, Command.RERUN): _W,
        (JobState.COMPLETED, Command.REMOVE): None,
        (JobState.FAILED, Command.RERUN): _W,
        (JobState.FAILED, Command.REMOVE): None,
        (JobState.CANCELLED, Command.RERUN): _W,
        (JobState.CANCELLED, Command.REMOVE): None,
        # What an operator changes of a live job. Where that ends a run, its lock is lost, as by a cancel.
        **{(state, Command.UPDATE_DATA): state for state in (_W, _C, _D, _A)},
        (_D, Command.CHANGE_DELAY): _D,
        **{(state, Command.CHANGE_PRIORITY): state for state in (_W, _C, _D)},
        **{(state, Command.MOVE_TO_DELAYED): _D for state in (_W, _D, _A)},
        **{(state, Command.MOVE_TO_FAILED): JobState.FAILED for state in (_W, _C, _D, _A)},
        **{(state, Command.DISCARD): state for state in (_W, _C, _D, _A)},
    }
)

SETTLED_STATES: Final = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
LIVE_STATES: Final = frozenset(JobState) - SETTLED_STATES
# Those that can be given to many jobs at once.
OPERATOR_COMMANDS: Final = frozenset({Command.PROMOTE, Command.CANCEL, Command.RERUN, Command.REMOVE})
# Those that say something of one job, and so are given to one job at a time.
EDITS: Final = frozenset(
    {
        Command.UPDATE_DATA,
        Command.CHANGE_DELAY,
        Command.CHANGE_PRIORITY,
        Command.MOVE_TO_DELAYED,
        Command.MOVE_TO_FAILED,
        Command.DISCARD,
    }
)


def legal_commands(state: JobState) -> frozenset[Command]:
    """Return the commands that are legal in this state."""
    return frozenset(command for from_state, command in TRANSITIONS if from_state is state)


def refuse(job_id: str, state: JobState, command: Command, queue_name: str = "") -> InvalidJobStateError:
    """Return the error for a command that is not legal, with what a person may ask instead."""
    allowed = [str(legal) for legal in legal_commands(state) & (OPERATOR_COMMANDS | EDITS)]
    return InvalidJobStateError(job_id, str(state), str(command), allowed, queue_name)


def legal_states(command: Command) -> frozenset[JobState]:
    """Return the states in which this command is legal."""
    return frozenset(from_state for from_state, legal in TRANSITIONS if legal is command)


def check_operated(command: Command) -> None:
    """Raise ConfigurationError for a command that is not an operator's to give."""
    if command not in OPERATOR_COMMANDS:
        known = ", ".join(sorted(OPERATOR_COMMANDS))
        raise ConfigurationError(f"jobs are not changed by {str(command)!r}; known: {known}")


def transition(job_id: str, state: JobState, command: Command) -> JobState | None:
    """Return the state that `command` leads to from `state`; None means the job is gone.

    Raises:
        InvalidJobStateError: the table has no such cell.
    """
    try:
        return TRANSITIONS[state, command]
    except KeyError:
        raise refuse(job_id, state, command) from None


def parse_state(state: JobState | str) -> JobState:
    """Return the state of this name.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return JobState(state)
    except ValueError:
        raise ConfigurationError(f"{state!r} is no job state; known: {', '.join(JobState)}") from None
