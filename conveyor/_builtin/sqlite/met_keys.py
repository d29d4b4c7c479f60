"""What becomes of jobs with deduplication keys that are added to SQLite: worked out for all of them, then written."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.deduplicating import (
    HOLDER,
    IS_FOR_A_TIME,
    OPTIONS,
    STATE,
    STATES,
    Change,
    asked_of,
    change_holder,
    due_state,
    find_answer,
    look_for_ids,
    look_for_keys,
    remember_answers,
    take_keys,
    untouched_jobs,
)
from conveyor._builtin.sqlite.reading import find_jobs
from conveyor._builtin.sqlite.rows import micros_after
from conveyor.codec import decode_options
from conveyor.model.deduplication import OUTCOMES, DeduplicationMode, add_digest, is_held
from conveyor.model.queries import AddReceipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._builtin.sqlite.deduplicating import Add, Named
    from conveyor._builtin.sqlite.rows import JobRow
    from conveyor._builtin.sqlite.transaction import Transaction
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.states import JobState

__all__ = ["MetKeys"]

_CHANGING: Final = frozenset({DeduplicationMode.REPLACE, DeduplicationMode.DEBOUNCE})


class MetKeys:
    """What becomes of jobs with keys, as if each were added alone, in order.

    Nobody else writes in between. So one look at the tables is enough for all, and what they do to each other is
    worked out here; what is written is one statement of each kind, not some for each job.

    Attributes:
        receipts: the answers of those that met a key, by their places. The others are to be added before `write`.
    """

    def __init__(self, transaction: Transaction, jobs: Sequence[NewJob]) -> None:
        self._transaction = transaction
        self.receipts: dict[int, AddReceipt] = {}
        # Each key that is taken, with the id of the job and until when; and these jobs.
        self._taken: defaultdict[Named, dict[str, tuple[str, int | None]]] = defaultdict(dict)
        self._takers: dict[str, NewJob] = {}
        self._changes: list[Change] = []
        self._changed: dict[str, JobState] = {}
        self._answers: dict[Add, AddReceipt] = {}
        known, self._answered_ids = look_for_ids(transaction, jobs)
        self._held = look_for_keys(transaction, jobs)
        for place, job in enumerate(jobs):
            # Whose id is there already is told whether it is the same add, whatever its key.
            if job.id in known or job.id in self._takers:
                continue
            receipt = self._answered(job) or self._meet(job)
            if receipt is not None:
                self.receipts[place] = receipt

    def write(self) -> None:
        """Take the keys, change the jobs that hold some, and remember what was answered."""
        for named, taken in self._taken.items():
            take_keys(self._transaction, named, taken)
        for change in self._changes:
            change_holder(self._transaction, change)
        remember_answers(self._transaction, self._answers)

    def show_holders(self) -> None:
        """Let each receipt bring the job that it names, as it stands now that all is written."""
        rest = {receipt.job_id for receipt in self.receipts.values()}
        shown: dict[str, JobData] = {}
        for named, held in self._held.items():
            rows = [row for row in held.values() if row[HOLDER] in rest and row[HOLDER] not in self._changed]
            shown |= {job.id: job for job in untouched_jobs(named, rows)}
        rest -= shown.keys()
        if rest:
            shown |= find_jobs(self._transaction.connection, [*rest])
        for receipt in self.receipts.values():
            receipt.job = shown.get(receipt.job_id)

    def _answered(self, job: NewJob) -> AddReceipt | None:
        """Return what the very same add was answered before."""
        if job.id not in self._answered_ids:
            return None
        digest = add_digest(job).hex()
        return self._answers.get((job.id, digest)) or find_answer(self._transaction, job.id, digest)

    def _meet(self, job: NewJob) -> AddReceipt | None:
        """Return the answer of a new job whose key is held; where it is not, the new one takes it."""
        asked, key = asked_of(job)
        named = job.queue_name, job.name
        taken, held = self._taken[named], self._held[named].get(key)
        holder, has_window = (None, False) if held is None else (held[HOLDER], bool(held[IS_FOR_A_TIME]))
        if key in taken:
            holder, until = taken[key]
            has_window = until is not None
        state = None if holder is None else self._state_of(holder, held)
        if holder is None or not is_held(asked, state, has_window=has_window):
            now = self._transaction.now
            taken[key] = job.id, None if asked.ttl is None else micros_after(now, asked.ttl)
            self._takers[job.id] = job
            return None
        if asked.mode in _CHANGING and state is not None:
            is_replaced = asked.mode is DeduplicationMode.REPLACE
            flow_id = None if held is None or holder != held[HOLDER] else decode_options(held[OPTIONS]).flow_id
            self._changes.append(Change(holder, job, state, is_replaced, flow_id))
            self._changed[holder] = due_state(self._transaction.now, job)
        receipt = AddReceipt(holder, OUTCOMES[asked.mode])
        self._answers[job.id, add_digest(job).hex()] = receipt
        self._answered_ids.add(job.id)
        return receipt

    def _state_of(self, holder: str, held: JobRow | None) -> JobState | None:
        if holder in self._changed:
            return self._changed[holder]
        if holder in self._takers:
            return due_state(self._transaction.now, self._takers[holder])
        return None if held is None or held[STATE] is None else STATES[held[STATE]]
