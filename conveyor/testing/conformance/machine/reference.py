"""The reference: a store as the contract's words put it, in lists and plain loops, for comparison and nothing else.

It knows nothing of speed, of tasks or of openings. Where the contract leaves something open, so does the reference:
`ReferenceStore.views` and `view_of` keep only what every store must agree on.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from conveyor.model.job import AttemptOutcome
from conveyor.model.locks import Lock
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import TRANSITIONS, Command, JobState, legal_states
from conveyor.testing.conformance.machine.deduplicating import ReferenceKeys
from conveyor.testing.conformance.machine.draws import NEW_DELAY, NEW_PAYLOAD, NEW_PRIORITY
from conveyor.testing.conformance.machine.tables import ReferenceJob

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.flows import FlowPlan
    from conveyor.model.job import NewJob
    from conveyor.model.settlement import Settlement

__all__ = ["ReferenceStore", "Written"]

NO_TIME: Final = timedelta(0)


@frozen
class Written:
    """What a run does in its transaction: a row of its own, jobs added, and one line of its log at the commit."""

    lock: Lock
    row: str
    jobs: Sequence[NewJob]


class ReferenceStore(ReferenceKeys):
    """Every verb that the state machine uses, those of workers apart: adding, operating, maintenance, transactions."""

    def save(self, jobs: Sequence[NewJob]) -> list[AddReceipt]:
        """Add jobs."""
        return [self._save(job) for job in jobs]

    def transact(self, written: Written, settlement: Settlement | None) -> tuple[list[AddReceipt], bool]:
        """Write in a run's transaction and commit it with the run's end; None: roll it back.

        Returns what the adds answered, and whether all of it took effect.
        """
        before = self.snapshot()
        self.written.append(written.row)
        added = self.save(written.jobs)
        self.write(written.lock)
        is_committed = settlement is not None and not self.settle([settlement])
        if not is_committed:
            self.restore(before)
        return added, is_committed

    def snapshot(self) -> dict[str, Any]:
        """Return all there is, to come back to."""
        return {name: deepcopy(value) for name, value in vars(self).items() if name != "now"}

    def restore(self, before: dict[str, Any]) -> None:
        """Make everything as it was."""
        vars(self).update(before)

    def command(self, job_id: str, command: Command, payload: bytes | None = None) -> JobState | str | None:
        """Let an operator change a job; return its new state, or the name of the error."""
        job = self.find(job_id)
        if job is None:
            return "JobNotFoundError"
        if (job.state, command) not in TRANSITIONS:
            return "InvalidJobStateError"
        if command is Command.REMOVE:
            self._remove([job])
            return None
        if command is Command.CANCEL:
            self._cancel(job)
        elif command is Command.PROMOTE:
            job.state, job.run_at = JobState.WAITING, self.now()
        elif command is Command.RERUN:
            self._rerun(job, payload)
        else:
            self._edit(job, command)
        if command in (Command.CANCEL, Command.MOVE_TO_FAILED):
            self.tell_of_ends([job])
        return job.state

    def promote_due(self, queues: Sequence[str]) -> int:
        """Promote what is due."""
        due = [job for queue in queues for job in self.select(queue, JobState.DELAYED) if job.run_at <= self.now()]
        for job in due:
            job.state = JobState.WAITING
        return len(due)

    def expire(self) -> int:
        """Cancel what has not started in time; return how many."""
        expired = [job for job in self.jobs if job.state in legal_states(Command.EXPIRE) and job.is_expired(self.now())]
        for job in expired:
            job.state, job.finished_at, job.error = JobState.CANCELLED, self.now(), "expired"
        self.tell_of_ends(expired)
        return len(expired)

    def reclaim(self, max_stalled: int) -> list[str]:
        """Take jobs away from sessions whose lock is over; return their ids."""
        active = [job for job in self.jobs if job.state is JobState.ACTIVE]
        stalled = [job for job in active if self.lock_ends_at(job) <= self.now()]
        for job in stalled:
            job.stalled_count += 1
            self.end_run(job, AttemptOutcome.STALLED)
            if job.stalled_count > max_stalled:
                job.state, job.finished_at, job.error = JobState.FAILED, self.now(), "stalled"
            else:
                job.state = JobState.WAITING
        self.tell_of_ends([job for job in stalled if job.state is JobState.FAILED])
        return sorted(job.new.id for job in stalled)

    def drain(self, queue: str) -> int:
        """Remove what has not begun."""
        return self._remove(self.select(queue, JobState.WAITING, JobState.DELAYED, JobState.WAITING_CHILDREN))

    def clean(self, queue: str, state: JobState, grace: timedelta) -> int:
        """Remove what ended longer ago than `grace`."""
        settled = self.select(queue, state)
        return self._remove([job for job in settled if job.finished_at and self.now() - job.finished_at > grace])

    def retry(self, queue: str, state: JobState) -> int:
        """Rerun settled jobs, oldest first."""
        settled = sorted(self.select(queue, state), key=lambda job: job.finished_at or self.now())
        for job in settled:
            self._rerun(job, None)
        return len(settled)

    def save_flow(self, plan: FlowPlan) -> list[AddReceipt]:
        """Add a flow."""
        root = plan.jobs[-1]
        known = self.find(root.id)
        parent, shape = self.parents.get(root.id), _shape(plan)
        if known is not None and _is_same_add(known, root) and parent is not None and parent.shape == shape:
            return [AddReceipt(job.id) for job in plan.jobs]
        receipts = self._save_plan(plan, plan.jobs)
        if all(receipt.outcome is Added.ADDED for receipt in receipts):
            self.parents[root.id].shape = shape
        return receipts

    def add_children(self, parent_id: str, plan: FlowPlan, lock: Lock | None) -> list[AddReceipt] | str:
        """Add children to a job that is there; return the answers, or the name of the error."""
        parent = self.find(parent_id)
        if parent is None:
            return "JobNotFoundError"
        if lock is not None and self.held(lock) is not parent:
            return "LockLostError"
        if (parent.state, Command.ADD_CHILDREN) not in TRANSITIONS:
            return "InvalidJobStateError"
        known = {edge.child.id for edge in self.edges if (edge.parent_id, edge.child.id) in plan.edges}
        receipts = self._save_plan(plan, [job for job in plan.jobs if job.id not in known])
        if all(receipt.outcome is Added.ADDED for receipt in receipts):
            self.note_parent(parent.new, None)
            parent.flow_id = parent.flow_id or parent_id
        return receipts

    def _save_plan(self, plan: FlowPlan, jobs: Sequence[NewJob]) -> list[AddReceipt]:
        taken = {job.id for job in jobs if self.find(job.id) is not None}
        if not taken:
            self.add_plan(jobs, plan.edges, self._add_in_flow)
        return [AddReceipt(job.id, Added.DUPLICATE if job.id in taken else Added.ADDED) for job in plan.jobs]

    def _add_in_flow(self, new: NewJob, is_parent: bool) -> AddReceipt:
        # A parent's own delay begins when it no longer waits for others.
        receipt = self._save(evolve(new, delay=None) if is_parent else new)
        job = self.find(new.id)
        assert job is not None, f"{new.id} was added"
        job.flow_id = new.options.flow_id
        if is_parent:
            job.state = JobState.WAITING_CHILDREN
        return receipt

    def _save(self, new: NewJob) -> AddReceipt:
        known = self.find(new.id)
        if known is not None:
            return AddReceipt(new.id, Added.ADDED if _is_same_add(known, new) else Added.DUPLICATE)
        now = self.now()
        due_at = now + (new.delay or NO_TIME) if new.run_at is None else max(new.run_at, now)
        asked = new.deduplication
        met = None if asked is None else self.meet_key(new, asked, due_at)
        if met is not None:
            return met
        if asked is not None:
            self.take_key(new, asked)
        state = JobState.DELAYED if due_at > now else JobState.WAITING
        place, priority = self.take_place(), new.options.priority
        self.jobs.append(ReferenceJob(new, place, now, due_at, new.payload, priority, state, self.expiry(new)))
        return AddReceipt(new.id)

    def _cancel(self, job: ReferenceJob) -> None:
        if job.state is JobState.ACTIVE:
            self.end_run(job, AttemptOutcome.CANCELLED)
        job.state, job.finished_at, job.error = JobState.CANCELLED, self.now(), "cancelled"

    def _edit(self, job: ReferenceJob, command: Command) -> None:
        if command is Command.UPDATE_DATA:
            job.payload = NEW_PAYLOAD
        elif command is Command.CHANGE_PRIORITY:
            job.priority = NEW_PRIORITY
        elif command is Command.DISCARD:
            job.is_discarded = True
        elif command is Command.MOVE_TO_FAILED:
            if job.state is JobState.ACTIVE:
                self.end_run(job, AttemptOutcome.FAILED)
            job.state, job.finished_at, job.error = JobState.FAILED, self.now(), "failed by hand"
        else:
            if job.state is JobState.ACTIVE:
                self.end_run(job, AttemptOutcome.SNOOZED)
            job.state, job.run_at = JobState.DELAYED, self.now() + NEW_DELAY

    def _rerun(self, job: ReferenceJob, payload: bytes | None) -> None:
        job.place, job.state, job.run_at = self.take_place(), self.reopen(job), self.now()
        job.attempts_made = job.stalled_count = 0
        job.result = job.error = job.finished_at = job.expires_at = None
        job.is_discarded = False
        job.payload = job.payload if payload is None else payload

    def _remove(self, jobs: Sequence[ReferenceJob]) -> int:
        self.forget(jobs)
        self.forget_in_flows(jobs)
        return len(jobs)


def _is_same_add(known: ReferenceJob, new: NewJob) -> bool:
    old = known.new
    return (old.queue_name, old.name, old.payload) == (new.queue_name, new.name, new.payload)


def _shape(plan: FlowPlan) -> tuple[object, ...]:
    jobs = [(job.id, job.queue_name, job.name, job.payload) for job in plan.jobs]
    return sorted(jobs), sorted(plan.edges)
