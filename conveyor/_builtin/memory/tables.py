"""Tables: everything the memory store holds, and the moves of a record from state to state."""

from __future__ import annotations

from heapq import heappush
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

from conveyor._builtin.memory.deduplicating import Answers, Keys
from conveyor._builtin.memory.event_log import EventLog
from conveyor._builtin.memory.flow_tables import FlowTables
from conveyor._builtin.memory.guards import Guard
from conveyor._builtin.memory.lines import Line, ReadyLine
from conveyor._builtin.memory.metrics import RunCounts
from conveyor._builtin.memory.records import microseconds
from conveyor.errors import JobNotFoundError
from conveyor.model.job import Ending
from conveyor.model.queries import ALL_NAMES
from conveyor.model.settlement import stands_as
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from conveyor._builtin.memory.batch_records import BatchRecord
    from conveyor._builtin.memory.notifier import MemoryNotifier
    from conveyor._builtin.memory.records import JobRecord, SessionRecord
    from conveyor.contracts.clock import Clock
    from conveyor.model.job import AttemptOutcome, ErrorInfo
    from conveyor.model.locks import LockToken
    from conveyor.model.settlement import Settlement

__all__ = ["QueueTable", "Tables"]

# At least so many of the jobs that were removed as they settled are remembered, at most twice as many.
REMOVED_REMEMBERED: Final = 10_000

# The run that removed its job, how it ended, and the fields of `Ending`, which is made when somebody asks for it.
_Removed: TypeAlias = (
    "tuple[LockToken | None, AttemptOutcome, JobState, datetime | None, bytes | None, ErrorInfo | None]"
)


class QueueTable:
    """One queue: its jobs by state, and those to come in order.

    Attributes:
        by_state: the records of each state by id, in the order in which they came to it.
        ready: the waiting ones without a group by job name; names without any may be missing.
        suspects: those of the waiting that stalled before, likewise; they are not among the ready.
        delayed: the delayed ones, soonest first.
        expiring: a heap of those that expire unless they start; one that left under its ticket is stale.
        paused: the job names that are not fetched.
        guard: its limits and groups; None: it never had any.
        outdating: a heap of the settled ones with a duration of their own to be kept; see `retaining`.
        keys: the deduplication keys, and who took them.
        log: where what happens is written down; None: nobody watches, and nothing is.
    """

    __slots__ = (
        "by_state",
        "delayed",
        "expiring",
        "guard",
        "keys",
        "log",
        "name",
        "outdating",
        "paused",
        "ready",
        "suspects",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.by_state: dict[JobState, dict[str, JobRecord]] = {state: {} for state in JobState}
        self.ready: dict[str, ReadyLine] = {}
        self.suspects: dict[str, ReadyLine] = {}
        self.delayed = Line()
        self.expiring: list[tuple[datetime, int, int, JobRecord]] = []
        self.paused: set[str] = set()
        self.guard: Guard | None = None
        self.outdating: list[tuple[datetime, int, str]] = []
        self.keys = Keys()
        self.log: EventLog | None = None

    def add(self, record: JobRecord, state: JobState) -> None:
        """Put a record that is new into its first state."""
        if self.log is not None:
            self.log.added(record, state)
        self.enter(record, state)

    def enter(self, record: JobRecord, state: JobState) -> None:
        """Put a record that is in no state into this one."""
        if self.log is not None:
            self.log.entering(record, state)
        record.state = state
        self.by_state[state][record.id] = record
        if state is JobState.WAITING:
            if record.options.group is not None and not record.stalled_count:
                self.guarded().push(record, record.options.group.id)
            else:
                self._push_waiting(record)
        elif state is JobState.DELAYED:
            self._push_delayed(record)
        if record.expires_at is not None and not state.is_settled:
            heappush(self.expiring, (record.expires_at, record.sequence, record.ticket, record))

    def _push_waiting(self, record: JobRecord) -> None:
        lines = self.suspects if record.stalled_count else self.ready
        line = lines.get(record.name)
        if line is None:
            line = lines[record.name] = ReadyLine()
        line.push(record)

    def guarded(self) -> Guard:
        """Return its limits and groups, made where it had none."""
        if self.guard is None:
            self.guard = Guard(self)
        return self.guard

    def _push_delayed(self, record: JobRecord) -> None:
        self.delayed.push((record.available_at, record.priority, record.sequence, record.ticket, record))

    def leave(self, record: JobRecord) -> None:
        """Take a record out of its state; a run that goes on loses its lock by that."""
        if self.log is not None:
            self.log.leaving(record)
        del self.by_state[record.state][record.id]
        if record.session is not None:
            del record.session.held[record.id]
            record.session = None
            if self.guard is not None:
                self.guard.note_end(record)
        elif record.state is JobState.WAITING:
            record.ticket += 1
            self._lines_of(record)[record.name].forget()
        elif record.state is JobState.DELAYED:
            record.ticket += 1
            self.delayed.forget()

    def _lines_of(self, record: JobRecord) -> dict[str, ReadyLine]:
        if record.stalled_count:
            return self.suspects
        group = record.options.group
        return self.ready if group is None else self.guarded().group(group.id).lines

    def lock(self, record: JobRecord, session: SessionRecord, token: LockToken, now: datetime) -> None:
        """Make a record active that was just taken from its ready line."""
        if self.log is not None:
            self.log.entering(record, JobState.ACTIVE)
        del self.by_state[JobState.WAITING][record.id]
        self.by_state[JobState.ACTIVE][record.id] = record
        session.held[record.id] = record
        record.state = JobState.ACTIVE
        record.session = session
        record.token = token
        record.started_at = now
        if self.guard is not None:
            self.guard.note_start(record)

    def wait_from(self, record: JobRecord, now: datetime, state: JobState = JobState.WAITING) -> None:
        """Put a record that is in no state among the waiting, or the delayed, due from this time on."""
        record.run_at = now
        record.available_at = microseconds(now)
        self.enter(record, state)

    def open_lines(self, job_name: str | None = None, *, is_suspect: bool = False) -> list[ReadyLine]:
        """Return the lines that may be fetched from and are not empty."""
        if ALL_NAMES in self.paused:
            return []
        all_lines = self.suspects if is_suspect else self.ready
        names = list(all_lines) if job_name is None else [job_name]
        lines: list[ReadyLine] = []
        for name in names:
            line = all_lines.get(name)
            if line is not None and not line:
                # Names come and go; a fetch looks at every line that is left.
                del all_lines[name]
            elif line is not None and name not in self.paused:
                lines.append(line)
        return lines


class Tables:
    """The whole store, by queue, by job id, by session id and by the id of a batch job."""

    def __init__(self, clock: Clock, notifier: MemoryNotifier) -> None:
        self.now = clock.now
        self.notifier = notifier
        self.queues: dict[str, QueueTable] = {}
        self.jobs: dict[str, JobRecord] = {}
        self.sessions: dict[str, SessionRecord] = {}
        # Where the workers ran that were opened last, by session: host and process.
        self.workers: dict[str, tuple[str, int]] = {}
        self.batches: dict[str, BatchRecord] = {}
        self.removed = RemovedJobs()
        self.answers = Answers()
        self.flows = FlowTables()
        self.run_counts = RunCounts()
        self.log = EventLog(clock.now)
        self._watched: frozenset[str] = frozenset()
        self._sequence = count(1)

    def next_sequence(self) -> int:
        """Return the place in the order of adding for a job that is added, or rerun, now."""
        return next(self._sequence)

    def queue(self, name: str) -> QueueTable:
        """Return the queue, made where it did not exist."""
        queue = self.queues.get(name)
        if queue is None:
            queue = self.queues[name] = QueueTable(name)
            queue.log = self._log_of(name)
        return queue

    def watch(self, queue_names: Iterable[str]) -> None:
        """Let these queues (all: an empty name) write down what happens, and no others."""
        self._watched = frozenset(queue_names)
        for queue in self.queues.values():
            queue.log = self._log_of(queue.name)

    def _log_of(self, queue_name: str) -> EventLog | None:
        return self.log if queue_name in self._watched or "" in self._watched else None

    def existing(self, names: Iterable[str]) -> list[QueueTable]:
        """Return those of the queues that exist."""
        return [queue for name in dict.fromkeys(names) if (queue := self.queues.get(name)) is not None]

    def job(self, job_id: str) -> JobRecord:
        """Return the job.

        Raises:
            JobNotFoundError: there is none.
        """
        record = self.jobs.get(job_id)
        if record is None:
            raise JobNotFoundError(job_id)
        return record

    def remove(self, record: JobRecord) -> None:
        """Forget a job with its logs and history; see `telling.remove_jobs` for one that others may wait for."""
        record.queue.leave(record)
        self.forget(record)

    def forget(self, record: JobRecord) -> None:
        """Forget a job that is in no state any more, and with it its deduplication key."""
        if record.queue.log is not None:
            record.queue.log.forgotten(record)
        self.flows.forget(record.id)
        del self.jobs[record.id]
        if record.key is not None:
            record.queue.keys.forget_job(record.key, record.id)


class RemovedJobs:
    """Jobs that left no record as they ended, for a while: for a settlement that is repeated, and for who waits."""

    def __init__(self) -> None:
        # Two generations: the older is dropped whole, which costs nothing per job.
        self._recent: dict[str, _Removed] = {}
        self._older = self._recent

    def remember(self, record: JobRecord, outcome: AttemptOutcome) -> None:
        """Note how a job ended that is being removed by that."""
        if len(self._recent) >= REMOVED_REMEMBERED:
            self._older, self._recent = self._recent, {}
        self._recent[record.id] = (record.token, outcome, record.state, record.finished_at, record.result, record.error)

    def was_by(self, settlement: Settlement) -> bool:
        """Return whether it was this settlement that removed its job."""
        known = self._known(settlement.job_id)
        return known is not None and known[0] == settlement.token and known[1] in stands_as(settlement)

    def find(self, job_id: str) -> Ending | None:
        """Return how the job ended, if it was removed by that."""
        known = self._known(job_id)
        return None if known is None or known[3] is None else Ending(known[2], known[3], known[4], known[5])

    def _known(self, job_id: str) -> _Removed | None:
        return self._recent.get(job_id) or self._older.get(job_id)
