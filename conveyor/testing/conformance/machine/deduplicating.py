"""What the reference makes of deduplication keys: who took one last, and what adds were answered."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve

from conveyor.model.deduplication import ANSWERS_REMEMBERED, OUTCOMES, DeduplicationMode, add_digest, is_held
from conveyor.model.queries import AddReceipt
from conveyor.model.states import JobState
from conveyor.testing.conformance.machine.runs import ReferenceRuns

if TYPE_CHECKING:
    from datetime import datetime

    from conveyor.model.deduplication import Deduplication
    from conveyor.model.job import NewJob
    from conveyor.testing.conformance.machine.tables import ReferenceJob

__all__ = ["ReferenceKeys"]


class ReferenceKeys(ReferenceRuns):
    """Keys by queue, name and key: the id of the job that took it last, and until when at most."""

    def meet_key(self, new: NewJob, asked: Deduplication, due_at: datetime) -> AddReceipt | None:
        """Return what an add is answered whose key another job holds; None: nobody does."""
        digest, now = add_digest(new), self.now()
        answered = self.answers.get(digest)
        if answered is not None and now < answered[1]:
            return answered[0]
        job_id, until = self.keys.get((new.queue_name, new.name, asked.key), ("", None))
        if not job_id or (until is not None and until <= now):
            return None
        job = self.find(job_id)
        if not is_held(asked, None if job is None else job.state, has_window=until is not None):
            return None
        if job is not None and asked.mode is DeduplicationMode.REPLACE:
            self._replace(job, new, due_at)
        elif job is not None and asked.mode is DeduplicationMode.DEBOUNCE:
            self._put_off(job, due_at)
        receipt = AddReceipt(job_id, OUTCOMES[asked.mode])
        self.answers[digest] = receipt, now + ANSWERS_REMEMBERED
        return receipt

    def take_key(self, new: NewJob, asked: Deduplication) -> None:
        """Give the key to a job that was added."""
        until = None if asked.ttl is None else self.now() + asked.ttl
        self.keys[new.queue_name, new.name, asked.key] = new.id, until

    def expiry(self, new: NewJob) -> datetime | None:
        """Return when a new job expires."""
        return self.now() + new.expires if isinstance(new.expires, timedelta) else new.expires

    def _replace(self, job: ReferenceJob, new: NewJob, due_at: datetime) -> None:
        # What it was added with stays, for the same add again.
        job.new = evolve(job.new, options=new.options)
        job.payload, job.priority, job.expires_at = new.payload, new.options.priority, self.expiry(new)
        if job.state is JobState.DELAYED or due_at > self.now():
            self._put_off(job, due_at)

    def _put_off(self, job: ReferenceJob, due_at: datetime) -> None:
        job.run_at = due_at
        job.state = JobState.DELAYED if due_at > self.now() else JobState.WAITING
