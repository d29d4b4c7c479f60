"""The whole exception tree: every error conveyor raises on purpose.

ConveyorError
├─ ConfigurationError            before any I/O
│  ├─ UnknownStrategyError       no strategy of that name or scheme
│  ├─ PluginError                a selected plugin is broken
│  └─ CapabilityError            the store cannot do what was asked
├─ JobError
│  ├─ JobNotFoundError
│  ├─ InvalidJobStateError       the command is not legal in this state
│  ├─ DuplicateJobError          the id is taken by another job
│  ├─ GroupFullError             as many jobs of its group wait as may
│  ├─ UnknownHandlerError        no handler of that name
│  ├─ PayloadError               arguments or a result do not fit
│  ├─ LockLostError              another run owns the job
│  ├─ ProcessHandlerError        a handler raised in a process of its own
│  ├─ ProcessDiedError           a handler took its process down
│  └─ JobFailedError             what ``result()`` raises for a job that did not complete
├─ ScheduleError
│  └─ ScheduleNotFoundError      no schedule of that id
├─ FlowError                     no flow can be made of what was given
├─ BufferError                   a buffer cannot collect, reduce or flush
│  └─ BufferTakeLostError        another flush has the jobs by now
├─ StoreError                    the driver's error is always ``__cause__``
│  ├─ StoreUnavailableError      transient: core retries
│  ├─ SessionLostError           the store knows no such worker session: core opens it again
│  └─ SchemaError                run: conveyor store migrate
└─ ConveyorInternalError         our bug
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BufferError",
    "BufferTakeLostError",
    "CapabilityError",
    "ConfigurationError",
    "ConveyorError",
    "ConveyorInternalError",
    "DuplicateJobError",
    "FlowError",
    "GroupFullError",
    "InvalidJobStateError",
    "JobError",
    "JobFailedError",
    "JobNotFoundError",
    "LockLostError",
    "PayloadError",
    "PluginError",
    "ProcessDiedError",
    "ProcessHandlerError",
    "ScheduleError",
    "ScheduleNotFoundError",
    "SchemaError",
    "SessionLostError",
    "StoreError",
    "StoreUnavailableError",
    "UnknownHandlerError",
    "UnknownStrategyError",
    "did_you_mean",
]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the tail of an error message: the nearest known word, or all of them.

    >>> did_you_mean("sqlit", ["memory", "sqlite"])
    "did you mean 'sqlite'? (known: memory, sqlite)"
    """
    names = sorted(known)
    if not names:
        return "none are known"
    listed = ", ".join(names)
    nearest = get_close_matches(word, names, n=1)
    return f"did you mean {nearest[0]!r}? (known: {listed})" if nearest else f"known: {listed}"


class ConveyorError(Exception):
    """The root of every error that conveyor raises on purpose."""


class ConfigurationError(ConveyorError):
    """Something given to conveyor is wrong; raised before any I/O took place."""


class UnknownStrategyError(ConfigurationError):
    """No installed plugin provides a strategy of this kind under this name or URL scheme."""

    def __init__(self, kind: str, name: str, known: Iterable[str], broken: Iterable[str] = ()) -> None:
        self.kind = kind
        self.name = name
        self.known: tuple[str, ...] = tuple(sorted(known))
        self.broken: tuple[str, ...] = tuple(broken)
        unasked = f"; these are broken and could not be asked: {', '.join(self.broken)}" if self.broken else ""
        super().__init__(
            f"no {kind} is called {name!r}: {did_you_mean(name, self.known)}; others come with plugins, "
            f"once their distribution is installed{unasked}"
        )


class PluginError(ConfigurationError):
    """A plugin that was selected could not be used; the cause is chained."""

    def __init__(
        self,
        plugin: str,
        distribution: str,
        reason: str,
        *,
        version: str = "unknown",
        entry_point: str = "",
        advice: str = "",
    ) -> None:
        self.plugin = plugin
        self.distribution = distribution
        self.reason = reason
        self.version = version
        self.entry_point = entry_point
        place = f" (entry point {entry_point})" if entry_point else ""
        super().__init__(
            f"plugin {plugin!r} of distribution {distribution!r} {version}{place} cannot be used: {reason}"
            + (f"; {advice}" if advice else "")
        )


class CapabilityError(ConfigurationError):
    """The store in use, or the job queue strategy (`kind` says which), declares that it cannot do what was asked."""

    def __init__(self, store: str, capability: str, needed_by: str, *, kind: str = "store") -> None:
        self.store = store
        self.capability = capability
        self.needed_by = needed_by
        self.kind = kind
        super().__init__(f"{needed_by} needs the capability {capability!r}, which the {kind} {store!r} does not have")


class JobError(ConveyorError):
    """An error about one job."""

    def __init__(self, message: str, *, job_id: str = "", queue_name: str = "") -> None:
        self.job_id = job_id
        self.queue_name = queue_name
        super().__init__(message)


class JobNotFoundError(JobError):
    """No job has this id: it never existed, or was removed."""

    def __init__(self, job_id: str, queue_name: str = "") -> None:
        where = f" in queue {queue_name!r}" if queue_name else ""
        super().__init__(
            f"no job {job_id!r}{where}: it never existed or was removed", job_id=job_id, queue_name=queue_name
        )


class InvalidJobStateError(JobError):
    """The command is not legal in the state the job is in."""

    def __init__(self, job_id: str, state: str, command: str, allowed: Iterable[str], queue_name: str = "") -> None:
        self.state = state
        self.command = command
        self.allowed: tuple[str, ...] = tuple(sorted(allowed))
        legal = ", ".join(self.allowed) or "nothing"
        super().__init__(
            f"job {job_id!r} is {state}, so {command!r} is not allowed; allowed now: {legal}",
            job_id=job_id,
            queue_name=queue_name,
        )


class DuplicateJobError(JobError):
    """A different job already has this id, or holds this deduplication key and the mode is ``reject``.

    Ids are unique over live and retained jobs.
    """

    def __init__(self, existing_id: str, key: str, queue_name: str = "", *, is_deduplicated: bool = False) -> None:
        self.existing_id = existing_id
        self.key = key
        self.is_deduplicated = is_deduplicated
        super().__init__(
            f"job {existing_id!r} holds the deduplication key {key!r}: it is added already"
            if is_deduplicated
            else f"a different job already has the id {key!r}: choose another id, or remove the existing job",
            job_id=existing_id,
            queue_name=queue_name,
        )


class GroupFullError(JobError):
    """As many jobs of the group wait already as its ``max_size`` lets wait."""

    def __init__(self, group_id: str, max_size: int, job_id: str, queue_name: str = "") -> None:
        self.group_id = group_id
        self.max_size = max_size
        super().__init__(
            f"job {job_id!r} was not added: {max_size} jobs of group {group_id!r} wait already, which is its max_size; "
            "add it later, or with a higher max_size",
            job_id=job_id,
            queue_name=queue_name,
        )


class UnknownHandlerError(JobError):
    """A job names a handler that this program does not have."""

    def __init__(self, name: str, known: Iterable[str], *, job_id: str = "", queue_name: str = "") -> None:
        self.name = name
        self.known: tuple[str, ...] = tuple(sorted(known))
        super().__init__(
            f"queue {queue_name!r} has no handler called {name!r}: {did_you_mean(name, self.known)}",
            job_id=job_id,
            queue_name=queue_name,
        )


class PayloadError(JobError):
    """Arguments or a result do not fit the handler's types, or cannot be written as JSON."""

    def __init__(self, direction: str, path: str, reason: str, *, name: str = "", job_id: str = "") -> None:
        self.direction = direction
        self.path = path
        self.reason = reason
        of = f" of {name!r}" if name else ""
        super().__init__(f"{direction}{of} at {path}: {reason}", job_id=job_id)


class LockLostError(JobError):
    """The run no longer owns its job: another run does, or somebody ended the job."""

    def __init__(self, token: str, *, job_id: str = "", queue_name: str = "") -> None:
        self.token = token
        super().__init__(
            f"the lock {token!r} of job {job_id!r} is lost: nothing more can be written by this run",
            job_id=job_id,
            queue_name=queue_name,
        )


class JobFailedError(JobError):
    """The job that was waited for ended as failed or cancelled; ``error`` says why."""

    def __init__(self, job_id: str, state: str, error: str, *, queue_name: str = "", traceback: str = "") -> None:
        self.state = state
        self.error = error
        self.traceback = traceback
        super().__init__(f"job {job_id!r} {state}: {error}", job_id=job_id, queue_name=queue_name)


class ProcessHandlerError(JobError):
    """What a handler raised in a process of its own: as text, for the exception itself stays there.

    The job's attempt says `type_name`, `message` and `traceback` as if it had been raised here.
    """

    def __init__(self, type_name: str, message: str, traceback: str, *, job_id: str = "", queue_name: str = "") -> None:
        self.type_name = type_name
        self.message = message
        self.traceback = traceback
        super().__init__(f"{type_name}: {message}", job_id=job_id, queue_name=queue_name)


class ProcessDiedError(JobError):
    """The process of a handler ended before the handler did: it was killed, crashed, or left by ``os._exit()``."""

    def __init__(self, reason: str, *, job_id: str = "", queue_name: str = "") -> None:
        self.reason = reason
        super().__init__(f"the process of its handler is gone: {reason}", job_id=job_id, queue_name=queue_name)


class ScheduleError(ConveyorError):
    """Something about one schedule."""

    def __init__(self, message: str, *, schedule_id: str) -> None:
        self.schedule_id = schedule_id
        super().__init__(message)


class ScheduleNotFoundError(ScheduleError):
    """There is no schedule of this id."""

    def __init__(self, schedule_id: str) -> None:
        super().__init__(f"there is no schedule {schedule_id!r}", schedule_id=schedule_id)


class FlowError(ConveyorError):
    """Jobs cannot be added as a flow: it holds itself, is too deep or too large, or names a job twice.

    It is raised before anything was added.
    """


class BufferError(ConveyorError):
    """A buffer cannot do what was asked: its jobs stay where they are, unless it says otherwise."""

    def __init__(self, buffer_id: str, reason: str) -> None:
        self.buffer_id = buffer_id
        self.reason = reason
        super().__init__(f"buffer {buffer_id!r}: {reason}")


class BufferTakeLostError(BufferError):
    """The jobs that a flush took were taken by another since: nothing was added, and nothing is lost."""

    def __init__(self, buffer_id: str, token: str) -> None:
        self.token = token
        super().__init__(buffer_id, "its jobs were taken by another flush meanwhile, which adds them")


class StoreError(ConveyorError):
    """The store refused or failed, and asking again does not help; the driver's own error is ``__cause__``.

    It is damaged, is no store, has another schema, is closed, or refuses this one statement. A worker that meets it
    in its own work ends with it, and `Job.result` raises it.
    """


class StoreUnavailableError(StoreError):
    """The store cannot be used at the moment: it is unreachable, busy, full, read-only or gone.

    It passes by itself, or an operator can mend it while the program waits. So a worker keeps what it has to write and
    tries again for as long as it takes; your own calls raise it at once. Whether a call that raised it took effect is
    not known; each can be repeated.
    """


class SessionLostError(StoreError):
    """The store knows no such worker session: it was cleared away as dead, or never opened. Nothing was fetched.

    A worker opens its session again by itself; only who calls a store's verbs meets this.
    """

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"there is no worker session {session_id!r}; open it (again) before fetching")


class SchemaError(StoreError):
    """The store's schema is not the one this version of conveyor needs."""

    def __init__(self, found: int, wanted: int, *, is_unrecorded: bool = False) -> None:
        self.found = found
        self.wanted = wanted
        self.is_unrecorded = is_unrecorded
        if is_unrecorded:
            super().__init__(
                "the store has tables of conveyor's, but no note of the migrations that made them: their SQL was run "
                "without its last lines, or stopped midway; drop them and run: conveyor store migrate; or, where they "
                "are complete, add the notes that `conveyor store sql` prints"
            )
            return
        is_old = found < wanted
        mend = "run: conveyor store migrate" if is_old else "upgrade conveyor: a newer one migrated the store"
        super().__init__(f"the store's schema is at version {found}, this conveyor needs {wanted}; {mend}")


class ConveyorInternalError(ConveyorError):
    """A bug in conveyor itself; please report it with the traceback."""
