"""The bench of the state machine: the store, the reference, and what its rules do to both."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve
from hypothesis.stateful import RuleBasedStateMachine

from conveyor.model.deduplication import ANSWERS_REMEMBERED, DeduplicationMode
from conveyor.model.limits import NO_LIMITS
from conveyor.model.states import Command
from conveyor.testing.conformance.flow_bench import waiting_for_children
from conveyor.testing.conformance.machine.comparison import Comparison
from conveyor.testing.conformance.machine.draws import DEDUPLICATIONS, IDS, QUEUES
from conveyor.testing.conformance.machine.scheduling import WholeReference
from conveyor.testing.conformance.workshop import LOCK, Hand, Workshop, ending, lock_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from anyio.from_thread import BlockingPortal

    from conveyor.model.job import JobData, NewJob
    from conveyor.model.limits import QueueLimits
    from conveyor.model.locks import Lock
    from conveyor.model.queries import Want
    from conveyor.model.settlement import Settlement
    from conveyor.testing.conformance.machine.draws import Description, End

__all__ = ["MachineBench"]

T = TypeVar("T")


class MachineBench(RuleBasedStateMachine):
    """Holds both, two worker sessions, and the locks and settlements there were. The rules are those of subclasses."""

    def __init__(self, portal: BlockingPortal, workshop: Workshop) -> None:
        super().__init__()
        self.portal = portal
        self.workshop = workshop
        self.reference: WholeReference = WholeReference(workshop.clock.now)
        self.comparison: Comparison = Comparison(workshop.store, self.reference, IDS, QUEUES)
        self.hands: list[Hand] = [Hand(workshop.store), Hand(workshop.store)]
        self.locks: list[Lock] = []
        self.settlements: list[Settlement] = []
        self.ask(self.empty())

    def ask(self, command: Awaitable[T]) -> T:
        """Wait for the store's answer."""

        async def answer() -> T:
            return await command

        return self.portal.call(answer)

    async def empty(self) -> None:
        """Remove what the last example left; what adds were answered is forgotten with time."""
        self.workshop.clock.advance(ANSWERS_REMEMBERED)
        for queue in QUEUES:
            if self.workshop.store.limits is not None:
                await self.workshop.store.limits.set_limits(queue, NO_LIMITS)
            await self.workshop.queues.obliterate(queue, force=True)
        for session in await self.workshop.sessions.list_sessions():
            await self.workshop.sessions.close(session.id)
        schedules = self.workshop.store.schedules
        if schedules is not None:
            for schedule in await schedules.list_schedules():
                await schedules.remove_schedule(schedule.id)

    def set_limits(self, queue: str, limits: QueueLimits) -> None:
        """Let these limits hold, in a store that has any."""
        if self.workshop.store.limits is not None:
            self.ask(self.workshop.store.limits.set_limits(queue, limits))
            self.reference.set_limits(queue, limits)

    def save(self, described: Sequence[Description]) -> None:
        """Add jobs."""
        jobs = [self.new(*description) for description in self.free(described)]
        assert list(self.ask(self.workshop.jobs.save_jobs(jobs))) == self.reference.save(jobs)

    def free(self, described: Sequence[Description]) -> list[Description]:
        """Leave those out whose ids some parents still know as those of children that are gone."""
        ghosts = self.reference.ghosts()
        return [description for description in described if description[0] not in ghosts]

    def new(self, id: str, queue: str, name: str, payload: bytes, *placed: int) -> NewJob:
        """Return a job to be added."""
        priority, lifo, delay, expires, place = placed
        asked = DEDUPLICATIONS[place] if self.workshop.store.capabilities.has_deduplication else None
        if asked is not None and asked.mode is DeduplicationMode.DEBOUNCE:
            delay = delay or 5
        expires_at = self.workshop.clock.now() + timedelta(seconds=expires) if expires else None
        return self.workshop.new(
            id,
            queue=queue,
            name=name,
            payload=payload,
            priority=priority,
            lifo=bool(lifo),
            delay=delay,
            expires=expires_at,
            deduplication=asked,
        )

    def open(self, hand: Hand) -> None:
        """Open the session, or renew it."""
        self.ask(hand.open())
        self.reference.open(hand.id, LOCK)

    def replace_hands(self) -> None:
        """Let workers start anew whose lock is over: the store may have forgotten their sessions by now."""
        now = self.workshop.clock.now()
        over = {id for id, session in self.reference.sessions.items() if session.expires_at <= now}
        self.hands = [Hand(self.workshop.store) if hand.id in over else hand for hand in self.hands]

    def lock(self, number: int) -> Lock:
        """Return one of the last locks, of which there must be one."""
        return self.locks[-1 - number % len(self.locks)]

    def settlement(self, lock: Lock, end: End) -> Settlement:
        """Return the end of a run, and remember it."""
        command, is_snoozed, is_removed = end
        if command is Command.WAIT_FOR_CHILDREN and self.workshop.store.flows is None:
            command = Command.COMPLETE  # nobody asks such a store to let a job wait for others
        job = self.reference.find(lock.job_id)
        queue = QUEUES[0] if job is None else job.new.queue_name
        result = b"1" if command is Command.COMPLETE else None
        flow_id = None if job is None else job.flow_id
        if command is Command.WAIT_FOR_CHILDREN:
            made = evolve(waiting_for_children(lock), queue_name=queue, flow_id=flow_id or lock.job_id)
        else:
            made = ending(
                lock, command, queue=queue, result=result, is_snoozed=bool(is_snoozed), is_removed=bool(is_removed)
            )
            made = evolve(made, flow_id=flow_id)
        self.settlements.append(made)
        return made

    def fetch_wants(self, hand: Hand, wanted: Sequence[Want]) -> None:
        """Fetch, and compare what was given, in its order."""
        self.expire_children()
        self.compare_fetched(hand, self.ask(hand.fetch_wants(*wanted)), wanted)

    def expire_children(self) -> None:
        """Cancel late children: whether a fetch does is the store's choice, and their parents may be fetched then."""
        if any(self.reference.is_late_child(job) for job in self.reference.jobs):
            assert self.ask(self.workshop.jobs.expire_jobs()) == self.reference.expire()

    def compare_fetched(self, hand: Hand, jobs: Sequence[JobData], wanted: Sequence[Want]) -> None:
        """Compare what a fetch gave, in its order."""
        self.locks += [lock_of(job) for job in jobs]
        assert [job.id for job in jobs] == self.reference.fetch(wanted, hand.id, LOCK, hand.fetches)
        # A fetch passes over what has expired; whether it cancels it as well is the store's choice.
        self.ask(self.workshop.jobs.expire_jobs())
        self.reference.expire()
