"""Notifications: hints that arrive, and an ANYTHING where they cannot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import anyio
import pytest

from conveyor.contracts.store import Notifier
from conveyor.model.events import Notification, NotificationKind
from conveyor.model.queries import ALL_NAMES
from conveyor.model.states import Command
from conveyor.testing.conformance.kit import OpenWorkshop, StoreKit, needs
from conveyor.testing.conformance.workshop import LOCK, QUEUE, Workshop, ending, lock_of

__all__ = ["NotificationsConformance"]

# A deadline for hints that never come, not a wait: tests end as soon as the hint is there.
DEADLINE_SECONDS: Final = 10


async def heard(hints: AsyncIterator[Notification], kind: NotificationKind) -> list[Notification]:
    """Return what was heard up to a hint of this kind, or an ANYTHING in its place."""
    received: list[Notification] = []
    with anyio.fail_after(DEADLINE_SECONDS):
        async for hint in hints:
            received.append(hint)
            if hint.kind in (kind, NotificationKind.ANYTHING):
                return received
    raise AssertionError(f"the hints ended before {kind}: {received}")


class NotificationsConformance(StoreKit):
    """Each verb wakes those who wait for what it did."""

    @pytest.fixture
    def notifier(self, workshop: Workshop) -> Notifier:
        """The facet, where the store has it."""
        needs(workshop.store.capabilities.has_notifications, "has_notifications")
        assert workshop.store.notifier is not None
        return workshop.store.notifier

    async def test_an_add_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.add("a")
            await heard(hints, NotificationKind.ADDED)

    async def test_a_delayed_add_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.add("a", delay=10)
            await heard(hints, NotificationKind.DELAYED)

    async def test_a_promotion_by_time_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        await workshop.add("a", delay=10)
        workshop.clock.advance(10)
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.jobs.promote_delayed_jobs([QUEUE])
            await heard(hints, NotificationKind.ADDED)

    async def test_a_promotion_by_hand_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        await workshop.add("a", delay=10)
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.jobs.promote_job("a")
            await heard(hints, NotificationKind.ADDED)

    async def test_a_promotion_in_bulk_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        await workshop.add("a", delay=10)
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.queues.promote_jobs(QUEUE)
            await heard(hints, NotificationKind.ADDED)

    async def test_a_release_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        job = await workshop.fetched("a")
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.jobs.release_locks([lock_of(job)])
            await heard(hints, NotificationKind.ADDED)

    async def test_a_closing_session_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        await hand.fetch_one()
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.sessions.close(hand.id)
            await heard(hints, NotificationKind.ADDED)

    async def test_a_reconciled_release_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        await workshop.add("a")
        hand = await workshop.hand()
        await hand.fetch_one()
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.sessions.reconcile(hand.id, [], 1)
            await heard(hints, NotificationKind.ADDED)

    async def test_a_reclaim_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        await workshop.fetched("a")
        workshop.clock.advance(LOCK * 2)
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.jobs.reclaim_stalled_jobs(3)
            await heard(hints, NotificationKind.ADDED)

    async def test_a_rerun_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        await workshop.finished("a")
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.jobs.rerun_job("a")
            await heard(hints, NotificationKind.ADDED)

    async def test_a_rerun_in_bulk_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        job = await workshop.finished("a")
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.queues.retry_jobs(QUEUE, (await workshop.job(job.id)).state)
            await heard(hints, NotificationKind.ADDED)

    @pytest.mark.parametrize(
        ("command", "kind"),
        [
            (Command.COMPLETE, NotificationKind.FINISHED),
            (Command.FAIL, NotificationKind.FINISHED),
            (Command.STOP, NotificationKind.FINISHED),
            (Command.RETRY, NotificationKind.ADDED),
            (Command.DELAY, NotificationKind.DELAYED),
        ],
    )
    async def test_the_end_of_a_run_is_heard(
        self, workshop: Workshop, notifier: Notifier, command: Command, kind: NotificationKind
    ) -> None:
        job = await workshop.fetched("a")
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.finish(job, command)
            await heard(hints, kind)

    async def test_the_end_of_a_job_that_leaves_no_record_is_heard(
        self, workshop: Workshop, notifier: Notifier
    ) -> None:
        job = await workshop.fetched("a")
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.settle(ending(lock_of(job), Command.COMPLETE, is_removed=True))
            await heard(hints, NotificationKind.FINISHED)

    async def test_a_cancel_of_a_running_job_names_the_job(self, workshop: Workshop, notifier: Notifier) -> None:
        await workshop.fetched("a")
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.jobs.cancel_job("a", "enough")
            hint = (await heard(hints, NotificationKind.REVOKED))[-1]
            assert hint.kind is NotificationKind.ANYTHING or (hint.queue_name, hint.job_id) == (QUEUE, "a")

    async def test_a_cancel_of_a_waiting_job_is_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        await workshop.add("a")
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.jobs.cancel_job("a", "enough")
            await heard(hints, NotificationKind.FINISHED)

    async def test_pausing_and_resuming_are_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.queues.pause_job_name(QUEUE, ALL_NAMES)
            await heard(hints, NotificationKind.CHANGED)
            await workshop.queues.resume_job_name(QUEUE, ALL_NAMES)
            await heard(hints, NotificationKind.CHANGED)

    @pytest.mark.parametrize("verb", ["drain", "obliterate"])
    async def test_emptying_a_queue_is_heard(self, workshop: Workshop, notifier: Notifier, verb: str) -> None:
        await workshop.add("a")
        async with notifier.subscribe(QUEUE) as hints:
            await getattr(workshop.queues, verb)(QUEUE)
            await heard(hints, NotificationKind.CHANGED)

    async def test_a_published_hint_reaches_every_subscriber(self, notifier: Notifier) -> None:
        hint = Notification(NotificationKind.REVOKED, QUEUE, "a")
        async with notifier.subscribe(QUEUE) as first, notifier.subscribe() as second:
            await notifier.publish(hint)
            for hints in (first, second):
                assert (await heard(hints, hint.kind))[-1] in (hint, Notification(NotificationKind.ANYTHING))

    async def test_other_queues_are_not_heard(self, workshop: Workshop, notifier: Notifier) -> None:
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.add("x", queue="elsewhere")
            await workshop.add("a")
            received = await heard(hints, NotificationKind.ADDED)
            assert {hint.queue_name for hint in received} <= {QUEUE, ""}

    async def test_several_queues_are_heard_at_once(self, workshop: Workshop, notifier: Notifier) -> None:
        async with notifier.subscribe(QUEUE, "elsewhere") as hints:
            for queue in ("elsewhere", QUEUE):
                await workshop.add(queue, queue=queue)
                hint = (await heard(hints, NotificationKind.ADDED))[-1]
                assert hint.queue_name in (queue, "")

    async def test_a_subscriber_without_queues_hears_all(self, workshop: Workshop, notifier: Notifier) -> None:
        async with notifier.subscribe() as hints:
            await workshop.add("x", queue="elsewhere")
            await heard(hints, NotificationKind.ADDED)

    async def test_a_slow_reader_loses_no_kind_of_hint(self, workshop: Workshop, notifier: Notifier) -> None:
        job = await workshop.fetched("first")
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.queues.pause_job_name(QUEUE, "ship")
            for number in range(300):
                await notifier.publish(Notification(NotificationKind.REVOKED, QUEUE, str(number)))
                await notifier.publish(Notification(NotificationKind.ADDED, QUEUE))
            await workshop.finish(job)
            wanted = {NotificationKind.CHANGED, NotificationKind.ADDED, NotificationKind.FINISHED}
            with anyio.fail_after(DEADLINE_SECONDS):
                async for hint in hints:
                    wanted = set() if hint.kind is NotificationKind.ANYTHING else wanted - {hint.kind}
                    if not wanted:
                        break

    async def test_publishing_to_nobody_is_no_error(self, notifier: Notifier) -> None:
        await notifier.publish(Notification(NotificationKind.ADDED, QUEUE))

    async def test_a_new_subscriber_hears_after_another_left(self, workshop: Workshop, notifier: Notifier) -> None:
        async with notifier.subscribe(QUEUE):
            pass
        async with notifier.subscribe(QUEUE) as hints:
            await workshop.add("a")
            await heard(hints, NotificationKind.ADDED)

    async def test_another_opening_of_the_store_is_heard(
        self, workshop: Workshop, notifier: Notifier, open_workshop: OpenWorkshop
    ) -> None:
        needs(workshop.store.capabilities.is_shared, "is_shared")
        async with open_workshop() as other, notifier.subscribe(QUEUE) as hints:
            await other.add("a")
            await heard(hints, NotificationKind.ADDED)
            assert await workshop.fetch_order() == ["a"]
