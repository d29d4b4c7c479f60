"""Shares: how a worker's fetches are divided over its queues, by weight, among those that may have work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.model.job import JobData
    from conveyor.model.queries import Want

__all__ = ["Shares", "weights_of"]


@define
class _Share:
    weight: int
    credit: int = 0
    hints: int = 1
    hints_at_dry: int = 0

    @property
    def may_have_work(self) -> bool:
        return self.hints > self.hints_at_dry


class Shares:
    """The queues that one worker fetches from."""

    def __init__(self) -> None:
        """Start without queues."""
        self._by_name: dict[str, _Share] = {}

    @property
    def names(self) -> Sequence[str]:
        """The queues."""
        return tuple(self._by_name)

    def add(self, queue_name: str, weight: int) -> None:
        """Give a queue its share; one that has a share keeps it."""
        self._by_name.setdefault(queue_name, _Share(weight))

    def remove(self, queue_name: str) -> None:
        """Give a queue nothing any more."""
        self._by_name.pop(queue_name, None)

    def clear(self) -> None:
        """Give no queue anything any more."""
        self._by_name.clear()

    def notice_work(self, queue_name: str) -> None:
        """Note a hint that a queue (or, without a name, any) may have work."""
        for name, share in self._by_name.items():
            if queue_name in ("", name):
                share.hints += 1

    def hints(self) -> Mapping[str, int]:
        """Return how many hints have come about each queue: what a fetch that begins now will have seen."""
        return {name: share.hints for name, share in self._by_name.items()}

    def divide(self, demand: int) -> Mapping[str, int]:
        """Divide the demand over the queues that may have work, by weight, and carry the rest to the next time."""
        shares = {name: share for name, share in self._by_name.items() if share.may_have_work}
        if len(shares) == 1:
            return dict.fromkeys(shares, demand)
        limits = dict.fromkeys(shares, 0)
        total = sum(share.weight for share in shares.values())
        for _ in range(demand if shares else 0):
            for share in shares.values():
                share.credit += share.weight
            chosen = max(shares, key=lambda name: shares[name].credit)
            shares[chosen].credit -= total
            limits[chosen] += 1
        return {name: limit for name, limit in limits.items() if limit}

    def learn_which_are_dry(
        self, wants: Sequence[Want], jobs: Sequence[JobData], hints: Mapping[str, int]
    ) -> Sequence[str]:
        """Expect nothing of queues that brought less than was wanted, until there is another hint; return them.

        Args:
            wants: what was wanted.
            jobs: what came.
            hints: those that had come when the question was asked.
        """
        dry: list[str] = []
        brought: dict[str, int] = {}
        for job in jobs:
            brought[job.queue_name] = brought.get(job.queue_name, 0) + 1
        for want in wants:
            if want.is_suspect:
                continue  # it says nothing about the others
            share = self._by_name.get(want.queue_name)
            # A hint that came while the fetch was under way may be about a job that the fetch did not see.
            if share is not None and brought.get(want.queue_name, 0) < want.limit:
                share.hints_at_dry = max(share.hints_at_dry, hints[want.queue_name])
                dry.append(want.queue_name)
        return dry


def weights_of(queues: Sequence[str | Mapping[str, int]]) -> dict[str, int]:
    """Return the weight of each queue: 1 where only its name is given."""
    weights: dict[str, int] = {}
    for entry in queues:
        weights.update({entry: 1} if isinstance(entry, str) else entry)
    return weights
