"""What the reference answers to workers: sessions, fetching, settling, and what else a lock is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.model.job import AttemptOutcome
from conveyor.model.locks import Lock, LockToken
from conveyor.model.settlement import as_discarded, is_another_attempt, stands_as
from conveyor.model.states import SETTLED_STATES, TRANSITIONS, Command, JobState
from conveyor.testing.conformance.machine.limiting import ReferenceLimits
from conveyor.testing.conformance.machine.tables import ReferenceSession

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from conveyor.model.queries import Want
    from conveyor.model.settlement import Settlement
    from conveyor.testing.conformance.machine.tables import ReferenceJob

__all__ = ["ReferenceRuns"]


class ReferenceRuns(ReferenceLimits):
    """The verbs of a worker, answered in the same terms as by the store under test."""

    def open(self, session_id: str, lock: timedelta) -> None:
        """Open a session, or renew it."""
        self.sessions.setdefault(session_id, ReferenceSession(self.now())).expires_at = self.now() + lock

    def renew(self, session_id: str, lock: timedelta) -> bool:
        """Keep what a session holds."""
        if session_id in self.sessions:
            self.sessions[session_id].expires_at = self.now() + lock
        return session_id in self.sessions

    def close(self, session_id: str) -> int:
        """End a session; what it holds waits again."""
        held = self.held_by(session_id)
        for job in held:
            job.state = JobState.WAITING
        self.sessions.pop(session_id, None)
        return len(held)

    def fetch(self, wants: Sequence[Want], session_id: str, lock: timedelta, number: int) -> list[str]:
        """Lock the next jobs, or tell what this fetch locked before."""
        session, token = self.sessions[session_id], LockToken(session_id, number)
        session.expires_at = max(session.expires_at, self.now() + lock)
        if number in session.fetches:
            return sorted(job.new.id for job in self.held_by(session_id) if job.token == token)
        session.fetches.append(number)
        fetched: list[str] = []
        for want in wants:
            ready = [job for job in self.wanted(want) if not job.is_expired(self.now())]
            limit = want.limit
            if want.is_suspect:
                limit = 0 if any(job.stalled_count for job in self.held_by(session_id)) else 1
            ready.sort(key=lambda job: job.order(want.lifo and not want.is_suspect))
            for job in self.start(want.queue_name, ready, limit):
                job.state, job.token, job.started_at = JobState.ACTIVE, token, self.now()
                fetched.append(job.new.id)
        return fetched

    def settle(self, settlements: Iterable[Settlement]) -> list[str]:
        """End runs; return the ids refused."""
        ended: list[ReferenceJob] = []
        refused = [one.job_id for one in settlements if not self._settle(one, ended)]
        self.tell_of_ends(ended)
        return refused

    def extend(self, locks: Iterable[Lock], lock: timedelta) -> list[Lock]:
        """Keep locks; return those lost."""
        lost = [one for one in locks if self.held(one) is None]
        for one in locks:
            if one not in lost:
                session = self.sessions[one.token.session_id]
                session.expires_at = max(session.expires_at, self.now() + lock)
        return lost

    def release(self, locks: Iterable[Lock]) -> list[Lock]:
        """Hand jobs back; return the locks lost."""
        lost = []
        for one in locks:
            job = self.held(one)
            if job is None:
                lost.append(one)
            else:
                job.state = JobState.WAITING
        return lost

    def write(self, lock: Lock) -> bool:
        """Let a run write a log line; return whether it may."""
        job = self.held(lock)
        if job is not None:
            job.lines += 1
        return job is not None

    def end_run(self, job: ReferenceJob, outcome: AttemptOutcome) -> None:
        """Tell in a job's history how its run ended."""
        assert job.token is not None, f"{job.new.id} ran without a token"
        job.attempts.append((job.attempts_made + 1, job.token, job.started_at, self.now(), outcome))

    def _settle(self, settlement: Settlement, ended: list[ReferenceJob]) -> bool:
        job = self.held(Lock(settlement.job_id, settlement.token))
        if job is None:
            return self._was_applied(settlement)
        if job.is_discarded and is_another_attempt(settlement):
            settlement = as_discarded(settlement, job.new.options)
        target = TRANSITIONS[JobState.ACTIVE, settlement.command]
        assert target is not None, f"{settlement.command} does not end a run"
        self.end_run(job, settlement.outcome)
        job.state, job.error = target, None if settlement.error is None else str(settlement.error)
        job.attempts_made += settlement.is_counted
        job.stalled_count += settlement.outcome is AttemptOutcome.STALLED
        if target in SETTLED_STATES:
            job.result, job.finished_at = settlement.result, self.now()
        elif settlement.command is not Command.RECLAIM:
            job.run_at = self.now() + settlement.delay
        if settlement.flow_id is not None and target in {*SETTLED_STATES, JobState.WAITING_CHILDREN}:
            ended.append(job)
        if settlement.is_removed and target in SETTLED_STATES:
            self.forget([job])
            self.forget_children([job])
            self.removed.append((settlement.job_id, settlement.token, settlement.outcome))
        return True

    def _was_applied(self, settlement: Settlement) -> bool:
        job = self.find(settlement.job_id)
        ended = [] if job is None else [(one[1], one[4]) for one in job.attempts]
        runs = [(settlement.token, outcome) for outcome in stands_as(settlement)]
        return any(run in ended or (settlement.job_id, *run) in self.removed for run in runs)
