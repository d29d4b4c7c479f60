"""Faults of strategies that deliver jobs: the one over a broker in memory, each broken in one way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.post_office import LetterDelivery, PostQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.job_queue import Delivery
    from conveyor.contracts.runtime import ProcessJob
    from conveyor.model.settlement import Settlement


class BrokenPost(PostQueue):
    """Gives deliveries of another kind."""

    kind: type[LetterDelivery]

    async def fetch(self, queue_name: str, limit: int, /) -> Sequence[Delivery]:
        deliveries = await super().fetch(queue_name, limit)
        for delivery in deliveries:
            assert isinstance(delivery, LetterDelivery)
            delivery.__class__ = self.kind
        return deliveries


class _Uncounted(LetterDelivery):
    async def hand_back(self, delay: timedelta, /, *, is_counted: bool) -> None:
        del is_counted
        await super().hand_back(delay, is_counted=True)


class EveryHandBackCounts(BrokenPost):
    """Takes a job that was handed back for one that failed."""

    kind = _Uncounted


class _AtOnce(LetterDelivery):
    async def hand_back(self, delay: timedelta, /, *, is_counted: bool) -> None:
        del delay
        await super().hand_back(timedelta(0), is_counted=is_counted)


class HandedBackAtOnce(BrokenPost):
    """Declares delays, and delivers again at once."""

    kind = _AtOnce


class _Unsettled(LetterDelivery):
    async def settle(self, settlement: Settlement, /) -> None:
        await self.hand_back(timedelta(0), is_counted=True)
        self._office.settled.append(settlement)


class SettledAndKept(BrokenPost):
    """Delivers again what was settled."""

    kind = _Unsettled


class _Unextended(LetterDelivery):
    async def extend(self) -> None:
        self._check()


class ExtendsNothing(BrokenPost):
    """Gives a job to another while it is being extended."""

    kind = _Unextended


class _Anybodys(LetterDelivery):
    async def settle(self, settlement: Settlement, /) -> None:
        self._office.settled.append(settlement)


class AnybodyMaySettle(BrokenPost):
    """Lets a run settle a job that was given to another since."""

    kind = _Anybodys


class StopWakesNobody(PostQueue):
    """Lets a fetch wait on when its queue is stopped."""

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        del queue_name, process
        return ()
