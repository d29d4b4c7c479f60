"""The rules of workers: fetching, settling, and using locks, those of others too."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from conveyor.model.job import LogEntry
from conveyor.model.locks import Lock
from conveyor.model.queries import Want
from conveyor.testing.conformance.machine.bench import MachineBench
from conveyor.testing.conformance.machine.draws import End, ends, hands, numbers, wants
from conveyor.testing.conformance.workshop import LOCK, Hand

__all__ = ["RunningRules"]


class RunningRules(MachineBench):
    """What workers do; `number` picks one of the last locks there were."""

    @rule(hand=hands, wanted=st.lists(wants, min_size=1, max_size=3))
    def fetch(self, hand: int, wanted: list[Want]) -> None:
        self.open(self.hands[hand])
        self.fetch_wants(self.hands[hand], wanted)

    @rule(hand=hands, want=wants)
    def fetch_again(self, hand: int, want: Want) -> None:
        again = self.hands[hand]
        if again.fetches:
            self.open(again)
            jobs = self.ask(again.repeat_fetch(want))
            assert sorted(job.id for job in jobs) == self.reference.fetch((), again.id, LOCK, again.fetches)

    @rule(picks=st.lists(st.tuples(numbers, ends), min_size=1, max_size=3))
    def settle(self, picks: list[tuple[int, End]]) -> None:
        settlements = [self.settlement(self.lock(number), end) for number, end in picks if self.locks]
        assert self.ask(self.workshop.settle(*settlements)) == self.reference.settle(settlements)

    @rule(number=numbers, end=ends, hand=hands, want=wants)
    def settle_and_fetch(self, number: int, end: End, hand: int, want: Want) -> None:
        job = self.reference.find(self.lock(number).job_id) if self.locks else None
        # A late child that is to run again would be there in the middle of it.
        if self.locks and (job is None or not self.reference.is_late_child(job)):
            self.expire_children()
            self.open(self.hands[hand])
            settlement = self.settlement(self.lock(number), end)
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
