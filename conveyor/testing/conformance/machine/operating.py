"""The rules of operators, of maintenance, and of time."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import rule

from conveyor.model.queries import ALL_NAMES
from conveyor.model.states import EDITS, OPERATOR_COMMANDS, Command, JobState
from conveyor.testing.conformance.machine.bench import MachineBench
from conveyor.testing.conformance.machine.comparison import command_job
from conveyor.testing.conformance.machine.draws import NAMES, QUEUES, ids, queues, settled_states

__all__ = ["OperatingRules"]

GRACE: Final = timedelta(seconds=10)
COMMANDS: Final = sorted(OPERATOR_COMMANDS | EDITS)


class OperatingRules(MachineBench):
    """What happens to jobs from outside of their runs."""

    @rule(seconds=st.sampled_from((0.5, 5, 31)), max_stalled=st.integers(0, 2))
    def pass_time(self, seconds: float, max_stalled: int) -> None:
        """Let time pass, and let maintenance do what is due then."""
        self.workshop.clock.advance(seconds)
        if max_stalled:
            assert self.ask(self.workshop.jobs.promote_delayed_jobs(QUEUES)) == self.reference.promote_due(QUEUES)
        if max_stalled == 1:
            assert self.ask(self.workshop.jobs.expire_jobs()) == self.reference.expire()
        if seconds > 1:
            jobs = self.ask(self.workshop.jobs.reclaim_stalled_jobs(max_stalled))
            assert sorted(job.id for job in jobs) == self.reference.reclaim(max_stalled)
            self.replace_hands()

    @rule(id=ids, command=st.sampled_from(COMMANDS))
    def command(self, id: str, command: Command) -> None:
        payload = b"[3]" if command is Command.RERUN and id == "a" else None
        answer = self.ask(command_job(self.workshop.jobs, id, command, payload, self.workshop.clock.now()))
        assert answer == self.reference.command(id, command, payload)

    @rule(queue=queues, verb=st.sampled_from(("drain", "clean", "retry")), state=settled_states)
    def change_queue(self, queue: str, verb: str, state: JobState) -> None:
        """Do what operators do to whole queues."""
        getattr(self, f"_{verb}")(queue, state)

    @rule(queue=queues, name=st.sampled_from((*NAMES, ALL_NAMES)))
    def pause(self, queue: str, name: str) -> None:
        self.ask(self.workshop.queues.pause_job_name(queue, name))
        self.reference.paused.setdefault(queue, set()).add(name)

    @rule(queue=queues)
    def resume(self, queue: str) -> None:
        for name in (*NAMES, ALL_NAMES):
            self.ask(self.workshop.queues.resume_job_name(queue, name))
        self.reference.paused.pop(queue, None)

    def _drain(self, queue: str, _: JobState) -> None:
        assert self.ask(self.workshop.queues.drain(queue)) == self.reference.drain(queue)

    def _clean(self, queue: str, state: JobState) -> None:
        assert self.ask(self.workshop.queues.clean(queue, state, GRACE)) == self.reference.clean(queue, state, GRACE)

    def _retry(self, queue: str, state: JobState) -> None:
        ended = [job.finished_at for job in self.reference.select(queue, state)]
        # Nothing says who goes first of those that ended at the same moment.
        if len(set(ended)) == len(ended):
            assert self.ask(self.workshop.queues.retry_jobs(queue, state)) == self.reference.retry(queue, state)
