"""The state machine: random commands to the store and to the reference, which must answer alike after every step.

It is longer than most modules because it has a rule for each verb, and they are read together.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from conveyor.model.job import LogEntry
from conveyor.model.locks import Lock
from conveyor.model.queries import ALL_NAMES, Want
from conveyor.model.states import SETTLED_STATES, Command, JobState
from conveyor.testing.conformance.comparison import Comparison, command_job
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.reference import ReferenceStore
from conveyor.testing.conformance.workshop import LOCK, Hand, Workshop, ending, lock_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from anyio.from_thread import BlockingPortal

    from conveyor.model.job import JobData, NewJob
    from conveyor.model.settlement import Settlement
    from conveyor.testing.conformance.kit import OpenWorkshop

__all__ = ["MachineConformance"]

T = TypeVar("T")
# How a run ends: its command, whether it was snoozed, whether the job leaves no record.
End: TypeAlias = tuple[Command, bool, bool]
Description: TypeAlias = tuple[str, str, str, bytes, int, bool, int]

# How many examples of the state machine to run, freshly drawn, instead of the same few each time.
EXAMPLES: Final = "CONVEYOR_MACHINE_EXAMPLES"

QUEUES: Final = ("orders", "elsewhere")
NAMES: Final = ("pack", "ship")
IDS: Final = tuple("abcdefgh")
FINAL_ENDS: Final = [(command, False, False) for command in (Command.COMPLETE, Command.FAIL, Command.STOP)]
REMOVALS: Final = [(command, False, True) for command in (Command.COMPLETE, Command.FAIL)]
NEXT_RUNS: Final = [(command, is_snoozed, False) for command in (Command.RETRY, Command.DELAY) for is_snoozed in (0, 1)]

ids: st.SearchStrategy[str] = st.sampled_from(IDS)
# Most of what happens happens in the first queue, so that jobs meet.
queues: st.SearchStrategy[str] = st.sampled_from((*QUEUES[:1], *QUEUES))
names: st.SearchStrategy[str] = st.sampled_from(NAMES)
numbers: st.SearchStrategy[int] = st.integers(0, 5)
hands: st.SearchStrategy[int] = st.integers(0, 1)
ends: st.SearchStrategy[tuple[Command, bool | int, bool]] = st.sampled_from([*FINAL_ENDS, *REMOVALS, *NEXT_RUNS])
plain_wants: st.SearchStrategy[Want] = st.builds(
    Want, queues, st.sampled_from((0, 1, 2, 9)), st.booleans(), st.sampled_from((None, None, *NAMES))
)
suspect_wants: st.SearchStrategy[Want] = st.builds(
    Want, queues, st.just(1), st.booleans(), st.none() | names, st.just(True)
)
wants: st.SearchStrategy[Want] = st.one_of(plain_wants, plain_wants, plain_wants, suspect_wants)
settled_states: st.SearchStrategy[JobState] = st.sampled_from(sorted(SETTLED_STATES))
payloads: st.SearchStrategy[bytes] = st.sampled_from((b"{}", b"{}", b"[2]"))
descriptions: st.SearchStrategy[tuple[Any, ...]] = st.tuples(
    ids, queues, names, payloads, st.sampled_from((0, 0, -1)), st.booleans(), st.sampled_from((0, 0, 0, 5, 40))
)


class StoreMachine(RuleBasedStateMachine):
    """Sends each command to both and compares the answers; after each step it compares what can be seen."""

    def __init__(self, portal: BlockingPortal, workshop: Workshop) -> None:
        super().__init__()
        self.portal = portal
        self.workshop = workshop
        self.reference: ReferenceStore = ReferenceStore(workshop.clock.now)
        self.comparison: Comparison = Comparison(workshop.store, self.reference, IDS, QUEUES)
        self.hands: list[Hand] = [Hand(workshop.store), Hand(workshop.store)]
        self.locks: list[Lock] = []
        self.settlements: list[Settlement] = []
        self.ask(self.empty())

    @initialize(described=st.lists(descriptions, min_size=3, max_size=8))
    def begin(self, described: list[Description]) -> None:
        self.save(described)

    @rule(described=st.lists(descriptions, min_size=1, max_size=3))
    def add(self, described: list[Description]) -> None:
        self.save(described)

    @rule(hand=hands, wanted=st.lists(wants, min_size=1, max_size=3))
    def fetch(self, hand: int, wanted: list[Want]) -> None:
        self.open(self.hands[hand])
        jobs = self.ask(self.hands[hand].fetch_wants(*wanted))
        self.compare_fetched(self.hands[hand], jobs, wanted)

    @rule(hand=hands, want=wants)
    def fetch_again(self, hand: int, want: Want) -> None:
        again = self.hands[hand]
        if again.fetches:
            self.open(again)
            jobs = self.ask(again.repeat_fetch(want))
            assert sorted(job.id for job in jobs) == self.reference.fetch((), again.id, LOCK, again.fetches)

    @rule(picks=st.lists(st.tuples(numbers, ends), min_size=1, max_size=3))
    def settle(self, picks: list[tuple[int, End]]) -> None:
        settlements = [self.settlement(number, end) for number, end in picks if self.locks]
        assert self.ask(self.workshop.settle(*settlements)) == self.reference.settle(settlements)

    @rule(number=numbers, end=ends, hand=hands, want=wants)
    def settle_and_fetch(self, number: int, end: End, hand: int, want: Want) -> None:
        if self.locks:
            self.open(self.hands[hand])
            settlement = self.settlement(number, end)
            report = self.ask(self.hands[hand].settle_and_fetch(settlement, want))
            assert [refusal.job_id for refusal in report.refused] == self.reference.settle([settlement])
            self.compare_fetched(self.hands[hand], report.jobs, [want])

    @rule(number=numbers)
    def settle_again(self, number: int) -> None:
        again = self.settlements[-1 - number :][:1]
        assert self.ask(self.workshop.settle(*again)) == self.reference.settle(again)

    @rule(number=numbers, verb=st.sampled_from(("extend", "renew", "release", "release", "write", "close")))
    def use_lock(self, number: int, verb: str) -> None:
        """Do what runs and workers do with what they hold, or held once."""
        if number < len(self.locks):
            getattr(self, f"_{verb}")(self.locks[-1 - number])

    @rule(seconds=st.sampled_from((0.5, 5, 31)), max_stalled=st.integers(0, 2))
    def pass_time(self, seconds: float, max_stalled: int) -> None:
        """Let time pass, and let maintenance do what is due then."""
        self.workshop.clock.advance(seconds)
        if max_stalled:
            assert self.ask(self.workshop.jobs.promote_delayed_jobs(QUEUES)) == self.reference.promote_due(QUEUES)
        if seconds > 1:
            jobs = self.ask(self.workshop.jobs.reclaim_stalled_jobs(max_stalled))
            assert sorted(job.id for job in jobs) == self.reference.reclaim(max_stalled)
            self.replace_hands()

    @rule(id=ids, command=st.sampled_from((Command.CANCEL, Command.PROMOTE, Command.RERUN, Command.REMOVE)))
    def command(self, id: str, command: Command) -> None:
        payload = b"[3]" if command is Command.RERUN and id == "a" else None
        answer = self.ask(command_job(self.workshop.jobs, id, command, payload))
        assert answer == self.reference.command(id, command, payload)

    @rule(
        queue=queues, verb=st.sampled_from(("drain", "clean", "retry")), state=st.sampled_from(sorted(SETTLED_STATES))
    )
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

    @invariant()
    def look(self) -> None:
        self.ask(self.comparison.look())

    def teardown(self) -> None:
        """Compare the histories, and the order of all that waits."""
        self.ask(self.comparison.look_at_histories())
        for queue in QUEUES:
            self.resume(queue)
        self.fetch(0, [Want(queue, 100, is_suspect=is_suspect) for queue in QUEUES for is_suspect in (True, False)])

    def ask(self, command: Awaitable[T]) -> T:
        """Wait for the store's answer."""

        async def answer() -> T:
            return await command

        return self.portal.call(answer)

    async def empty(self) -> None:
        """Remove what the last example left."""
        for queue in QUEUES:
            await self.workshop.queues.obliterate(queue, force=True)
        for session in await self.workshop.sessions.list_sessions():
            await self.workshop.sessions.close(session.id)

    def save(self, described: Sequence[Description]) -> None:
        """Add jobs."""
        jobs = [self.new(*description) for description in described]
        receipts = self.ask(self.workshop.jobs.save_jobs(jobs))
        assert [receipt.outcome for receipt in receipts] == self.reference.save(jobs)

    def new(self, id: str, queue: str, name: str, payload: bytes, *placed: int) -> NewJob:
        """Return a job to be added."""
        priority, lifo, delay = placed
        return self.workshop.new(
            id, queue=queue, name=name, payload=payload, priority=priority, lifo=bool(lifo), delay=delay
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

    def settlement(self, number: int, end: End) -> Settlement:
        """Return the end of one of the last runs, and remember it."""
        command, is_snoozed, is_removed = end
        lock = self.locks[-1 - number % len(self.locks)]
        job = self.reference.find(lock.job_id)
        queue = QUEUES[0] if job is None else job.new.queue_name
        result = b"1" if command is Command.COMPLETE else None
        made = ending(
            lock, command, queue=queue, result=result, is_snoozed=bool(is_snoozed), is_removed=bool(is_removed)
        )
        self.settlements.append(made)
        return made

    def compare_fetched(self, hand: Hand, jobs: Sequence[JobData], wanted: Sequence[Want]) -> None:
        """Compare what a fetch gave, in its order."""
        self.locks += [lock_of(job) for job in jobs]
        assert [job.id for job in jobs] == self.reference.fetch(wanted, hand.id, LOCK, hand.fetches)

    def _extend(self, lock: Lock) -> None:
        # All that a session holds: whether one extended lock keeps its neighbours is the store's choice.
        held = [Lock(job.new.id, job.token) for job in self.reference.held_by(lock.token.session_id) if job.token]
        locks = held if lock in held else [lock, *held]
        assert list(self.ask(self.workshop.jobs.extend_locks(locks, LOCK))) == self.reference.extend(locks, LOCK)

    def _renew(self, lock: Lock) -> None:
        id = self.hands[lock.token.fetch_number % 2].id
        assert self.ask(self.workshop.sessions.renew(id, LOCK)) == self.reference.renew(id, LOCK)

    def _release(self, lock: Lock) -> None:
        assert list(self.ask(self.workshop.jobs.release_locks([lock]))) == self.reference.release([lock])

    def _write(self, lock: Lock) -> None:
        refused = self.ask(self.workshop.jobs.append_logs([LogEntry(lock.job_id, "hello", lock=lock)]))
        assert (len(refused) == 0) == self.reference.write(lock)

    def _close(self, lock: Lock) -> None:
        number = lock.token.fetch_number % 2
        closed, self.hands[number] = self.hands[number], Hand(self.workshop.store)
        assert self.ask(self.workshop.sessions.close(closed.id)) == self.reference.close(closed.id)

    def _drain(self, queue: str, _: JobState) -> None:
        assert self.ask(self.workshop.queues.drain(queue)) == self.reference.drain(queue)

    def _clean(self, queue: str, state: JobState) -> None:
        grace = timedelta(seconds=10)
        assert self.ask(self.workshop.queues.clean(queue, state, grace)) == self.reference.clean(queue, state, grace)

    def _retry(self, queue: str, state: JobState) -> None:
        ended = [job.finished_at for job in self.reference.select(queue, state)]
        # Nothing says who goes first of those that ended at the same moment.
        if len(set(ended)) == len(ended):
            assert self.ask(self.workshop.queues.retry_jobs(queue, state)) == self.reference.retry(queue, state)


class MachineConformance(StoreKit):
    """Forty short lives of a store; ``CONVEYOR_MACHINE_EXAMPLES=5000`` gives it as many, drawn anew."""

    @pytest.fixture
    def machine_settings(self) -> settings:
        """How many lives of how many steps: few that are always the same, or as many as the environment says."""
        asked = os.environ.get(EXAMPLES)
        return settings(
            max_examples=int(asked or 40),
            stateful_step_count=30,
            derandomize=asked is None,
            database=None,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        )

    def test_random_commands_answer_as_the_reference_does(
        self,
        open_workshop: OpenWorkshop,
        machine_settings: settings,
        anyio_backend_name: str,
        anyio_backend_options: dict[str, Any],
    ) -> None:
        with (
            start_blocking_portal(anyio_backend_name, anyio_backend_options) as portal,
            portal.wrap_async_context_manager(open_workshop()) as workshop,
        ):

            class Machine(StoreMachine):
                def __init__(self) -> None:
                    super().__init__(portal, workshop)

            run_state_machine_as_test(Machine, settings=machine_settings)
