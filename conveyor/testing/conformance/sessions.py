"""Sessions: one sign of life for all that a worker holds."""

from __future__ import annotations

from attrs import evolve

from conveyor.model.sessions import SessionInfo
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import LOCK, Hand, Workshop, ending, lock_of, stranger

__all__ = ["SessionsConformance"]


class SessionsConformance(StoreKit):
    """Opened, renewed, reconciled, closed."""

    async def test_an_open_session_is_listed_as_it_was_opened(self, workshop: Workshop) -> None:
        queues = ("orders", "emails")
        info = SessionInfo("ab" * 16, "host-ü", 4711, "trio", queues, concurrency=9, version="1.2", lock_duration=LOCK)
        now = workshop.clock.now()
        await workshop.sessions.open(info, LOCK)
        (listed,) = await workshop.sessions.list_sessions()
        assert listed == evolve(info, opened_at=now, expires_at=now + LOCK)

    async def test_a_session_is_listed_with_how_many_jobs_it_holds(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        first, second = await workshop.hand(), await workshop.hand()
        jobs = await first.fetch(2)
        held = {session.id: session.running_count for session in await workshop.sessions.list_sessions()}
        assert held == {first.id: 2, second.id: 0}
        await workshop.finish(jobs[0])
        assert {session.running_count for session in await workshop.sessions.list_sessions()} == {1, 0}

    async def test_a_session_tells_when_its_lock_was_renewed_last(self, workshop: Workshop) -> None:
        opened_at = workshop.clock.now()
        await workshop.sessions.open(SessionInfo("ab" * 16, "here", 1, "trio", lock_duration=LOCK), LOCK)
        workshop.clock.advance(5)
        (listed,) = await workshop.sessions.list_sessions()
        assert (listed.last_seen_at, listed.is_lost(workshop.clock.now())) == (opened_at, False)
        assert await workshop.sessions.renew(listed.id, LOCK)
        (listed,) = await workshop.sessions.list_sessions()
        assert (listed.last_seen_at, listed.opened_at) == (workshop.clock.now(), opened_at)
        assert listed.is_lost(workshop.clock.advance(LOCK))

    async def test_a_closed_session_is_not_listed(self, workshop: Workshop) -> None:
        hand, other = await workshop.hand(), await workshop.hand()
        await workshop.sessions.close(hand.id)
        assert [session.id for session in await workshop.sessions.list_sessions()] == [other.id]

    async def test_a_session_whose_lock_is_over_is_still_listed(self, workshop: Workshop) -> None:
        hand = await workshop.hand()
        workshop.clock.advance(LOCK * 2)
        assert [session.id for session in await workshop.sessions.list_sessions()] == [hand.id]

    async def test_renewing_keeps_everything_the_session_holds(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        await hand.fetch(2)
        await hand.fetch(1)
        for _ in range(3):
            workshop.clock.advance(LOCK * 0.9)
            assert await workshop.sessions.renew(hand.id, LOCK)
        assert list(await workshop.jobs.reclaim_stalled_jobs(3)) == []
        (listed,) = await workshop.sessions.list_sessions()
        assert listed.expires_at == workshop.clock.now() + LOCK

    async def test_renewing_no_session_says_so(self, workshop: Workshop) -> None:
        assert not await workshop.sessions.renew(Hand(workshop.store).id, LOCK)

    async def test_renewing_a_closed_session_says_so(self, workshop: Workshop) -> None:
        hand = await workshop.hand()
        await workshop.sessions.close(hand.id)
        assert not await workshop.sessions.renew(hand.id, LOCK)

    async def test_opening_again_renews(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        await hand.fetch()
        workshop.clock.advance(LOCK * 0.9)
        await hand.open()
        workshop.clock.advance(LOCK * 0.9)
        assert list(await workshop.jobs.reclaim_stalled_jobs(3)) == []
        assert len(await workshop.sessions.list_sessions()) == 1

    async def test_renewing_does_not_keep_what_another_session_holds(self, workshop: Workshop) -> None:
        await workshop.fetched("a")
        other = await workshop.hand()
        workshop.clock.advance(LOCK * 0.9)
        await workshop.sessions.renew(other.id, LOCK)
        workshop.clock.advance(LOCK * 0.2)
        assert [job.id for job in await workshop.jobs.reclaim_stalled_jobs(3)] == ["a"]

    async def test_closing_releases_what_the_session_holds(self, workshop: Workshop) -> None:
        await workshop.add("a", "b")
        hand = await workshop.hand()
        a, b = await hand.fetch()
        await workshop.finish(a)
        assert await workshop.sessions.close(hand.id) == 1
        released = await workshop.job("b")
        assert (released.state, released.attempts_made, released.stalled_count) == (JobState.WAITING, 0, 0)
        assert await workshop.settle(ending(lock_of(b), Command.COMPLETE)) == ["b"]
        assert await workshop.fetch_order() == ["b"]

    async def test_closing_leaves_other_sessions_alone(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        other = await workshop.hand()
        assert await workshop.sessions.close(other.id) == 0
        assert await workshop.job("a") == job

    async def test_closing_no_session_releases_nothing(self, workshop: Workshop) -> None:
        assert await workshop.sessions.close(Hand(workshop.store).id) == 0

    async def test_reconciling_what_fits_changes_nothing(self, workshop: Workshop) -> None:
        await workshop.add("a", "b")
        hand = await workshop.hand()
        jobs = await hand.fetch()
        report = await workshop.sessions.reconcile(hand.id, [lock_of(job) for job in jobs], 1)
        assert (list(report.lost), list(report.released)) == ([], [])
        assert [await workshop.state("a"), await workshop.state("b")] == [JobState.ACTIVE] * 2

    async def test_reconciling_releases_what_the_worker_does_not_hold(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        a, b, _ = [await hand.fetch_one() for _ in range(3)]
        report = await workshop.sessions.reconcile(hand.id, [lock_of(b)], 3)
        assert (list(report.lost), sorted(report.released)) == ([], ["a", "c"])
        released = await workshop.job("a")
        assert (released.state, released.attempts_made, released.stalled_count) == (JobState.WAITING, 0, 0)
        assert await workshop.settle(ending(lock_of(a), Command.COMPLETE)) == ["a"]
        assert await workshop.settle(ending(lock_of(b), Command.COMPLETE)) == []
        assert await workshop.fetch_order() == ["a", "c"]

    async def test_reconciling_leaves_fetches_after_the_number_given_alone(self, workshop: Workshop) -> None:
        await workshop.add("a", "b", "c")
        hand = await workshop.hand()
        for _ in range(3):
            await hand.fetch_one()
        report = await workshop.sessions.reconcile(hand.id, [], 2)
        assert sorted(report.released) == ["a", "b"]
        assert await workshop.state("c") is JobState.ACTIVE

    async def test_reconciling_tells_which_locks_are_lost(self, workshop: Workshop) -> None:
        await workshop.add("a", "b")
        hand = await workshop.hand()
        a, b = await hand.fetch()
        await workshop.jobs.cancel_job("a", "enough")
        nobody = stranger("nobody")
        report = await workshop.sessions.reconcile(hand.id, [lock_of(a), lock_of(b), nobody], 1)
        assert set(report.lost) == {lock_of(a), nobody}
        assert list(report.released) == []

    async def test_reconciling_tells_of_a_job_that_another_session_runs_now(self, workshop: Workshop) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        job = await hand.fetch_one()
        workshop.clock.advance(LOCK * 2)
        await workshop.jobs.reclaim_stalled_jobs(3)
        heir = await (await workshop.hand()).fetch_suspect()
        report = await workshop.sessions.reconcile(hand.id, [lock_of(job)], 1)
        assert (list(report.lost), list(report.released)) == ([lock_of(job)], [])
        assert await workshop.job("a") == heir

    async def test_reconciling_leaves_other_sessions_alone(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        other = await workshop.hand()
        report = await workshop.sessions.reconcile(other.id, [], 10)
        assert list(report.released) == []
        assert await workshop.job("a") == job
