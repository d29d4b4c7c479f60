"""The rules of what holds for whole queues: limits, schedules that add to them, and what is kept of what has ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from conveyor.errors import ScheduleNotFoundError
from conveyor.model.limits import NameLimits, QueueLimits, RateLimit
from conveyor.model.options import JobOptions
from conveyor.model.retention import Retention
from conveyor.model.schedules.values import Missed, MissedPolicy, Overlap, ScheduleRule, ScheduleSpec
from conveyor.model.states import SETTLED_STATES
from conveyor.testing.conformance.machine.bench import MachineBench
from conveyor.testing.conformance.machine.draws import NAMES, QUEUES, names, queues

if TYPE_CHECKING:
    from conveyor.model.schedules.values import ScheduleData

__all__ = ["GoverningRules"]

# One rate: what is remembered of another would be the store's choice.
RATE: Final = RateLimit(2, "8s")
LIMITS: Final = (
    QueueLimits(),
    QueueLimits(1),
    QueueLimits(2),
    QueueLimits(names={NAMES[0]: NameLimits(1)}),
    QueueLimits(limiter=RATE),
    QueueLimits(3, RATE, names={NAMES[1]: NameLimits(1)}),
)
RETENTIONS: Final = (
    Retention(max_age="10s"),
    Retention(max_age=None, max_count=1),
    Retention(max_age="1m", max_count=2),
)
# One schedule: which of several fires first at the same moment is open.
SCHEDULE_ID: Final = "tick"


class GoverningRules(MachineBench):
    """What the store lacks is not drawn."""

    @precondition(lambda self: self.workshop.store.limits is not None)
    @rule(queue=queues, limits=st.sampled_from(LIMITS))
    def limit(self, queue: str, limits: QueueLimits) -> None:
        self.set_limits(queue, limits)

    @rule(retention=st.sampled_from(RETENTIONS))
    def retain(self, retention: Retention) -> None:
        """Remove what is outdated, unless it is open which of those that ended at one moment counts as later."""
        for queue in QUEUES:
            ends = [job.finished_at for job in self.reference.select(queue, *SETTLED_STATES)]
            if retention.max_count is None or len(set(ends)) == len(ends):
                removed = self.ask(self.workshop.jobs.remove_outdated_jobs([queue], retention))
                assert removed == self.reference.retain([queue], retention)

    @precondition(lambda self: self.has_schedules)
    @rule(
        queue=queues,
        name=names,
        every=st.sampled_from((4, 7)),
        policies=st.sampled_from(
            [(overlap, missed) for overlap in Overlap for missed in (MissedPolicy.SKIP, MissedPolicy.ONE)]
            + [(Overlap.QUEUE, MissedPolicy.ALL)]
        ),
        most=st.sampled_from((None, None, 2)),
    )
    def make_schedule(
        self, queue: str, name: str, every: int, policies: tuple[Overlap, MissedPolicy], most: int | None
    ) -> None:
        """Make it, or change it."""
        overlap, missed = policies
        times = ScheduleRule(
            timedelta(seconds=every), limit=most, overlap=overlap, missed=Missed(missed, grace=timedelta(seconds=2))
        )
        spec = ScheduleSpec(SCHEDULE_ID, queue, name, b"{}", JobOptions(), times)
        assert self.workshop.store.schedules is not None
        (receipt,) = self.ask(self.workshop.store.schedules.upsert_schedules([spec]))
        assert receipt == self.reference.upsert_schedule(spec)

    @precondition(lambda self: self.has_schedules)
    @rule(verb=st.sampled_from(("pause", "resume", "resume", "remove")))
    def change_schedule(self, verb: str) -> None:
        answer = self.ask(self._change_schedule(verb))
        assert answer == self.reference.change_schedule(SCHEDULE_ID, verb)

    @precondition(lambda self: self.has_schedules)
    @rule(seconds=st.sampled_from((0, 4, 7, 18)))
    def fire(self, seconds: int) -> None:
        """Fire what is due after a while."""
        assert self.workshop.store.schedules is not None
        now = self.workshop.clock.advance(seconds)
        report = self.ask(self.workshop.store.schedules.fire_schedules())
        assert report.at == now
        assert (list(report.ticks), report.next_run_at) == self.reference.fire()
        self.replace_hands()

    @property
    def has_schedules(self) -> bool:
        """Whether the store has them."""
        return self.workshop.store.schedules is not None

    async def _change_schedule(self, verb: str) -> ScheduleData | str | None:
        schedules = self.workshop.store.schedules
        assert schedules is not None
        try:
            if verb == "remove":
                await schedules.remove_schedule(SCHEDULE_ID)
                return None
            change = schedules.pause_schedule if verb == "pause" else schedules.resume_schedule
            return await change(SCHEDULE_ID)
        except ScheduleNotFoundError as error:
            return type(error).__name__
